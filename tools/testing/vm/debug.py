#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A module judged in L1 by a debug kernel: KTAP on stdout.

boom KO     plants the faults of boom/boom.c one by one.  Each must be reported
            by its watcher, in a line that klog.patterns fails a run for.
selftests   the selftests, then what is known at their end only: memory that
            nobody frees, data races by their stacks, a lockdep that is still on.
            With --fail PERCENT what the module allocates and copies fails so
            often: then only what is known at the end counts.

What was judged here is taken out of the kernel log and kept in
$VHX_OUT/judged.txt, so that the rig judges what is left.
"""
import argparse
import bisect
import contextlib
import os
import re
import subprocess
import sys
import time

import host

KERNEL = os.environ["VHX_KERNEL"]
OUT = os.environ["VHX_OUT"]
PATTERNS = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                        "klog.patterns")
RUN = "tools/testing/selftests/vhost/run.sh"
KMEMLEAK = "/sys/kernel/debug/kmemleak"
KCSAN = "/sys/kernel/debug/kcsan"
KCSAN_SKIP = 500                # accesses of a CPU between two watchpoints
PAGE = 4096
LEAK_AGE_SECS = 6               # kmemleak does not report what is younger

# By kernel: the faults and how their watchers report them.  KASAN and lockdep
# switch lockdep off, and with it the watcher of RCU: these come last.
FAULTS = {
    "debug": {
        "rcu_unlocked": "WARNING: suspicious RCU usage",
        "atomic_sleep": "BUG: sleeping function called from invalid context",
        "ubsan_bounds": r"UBSAN: array-index-out-of-bounds in .*boom\.c",
        "debug_objects": "ODEBUG: free active .* object type: timer_list",
        "list_corruption": "list_add corruption",
        "refcount": "refcount_t: addition on 0",
        "soft_lockup": r"BUG: soft lockup - CPU#\d+ stuck .*\[insmod:",
        "hung_task": r"INFO: task insmod:\d+ blocked for more than",
        "kmemleak": r"kmemleak: \d+ new suspected memory leaks",
        "lockdep_order": "WARNING: possible circular locking dependency",
        "kasan_oob": r"BUG: KASAN: slab-out-of-bounds in .*\[boom\]",
        "kasan_uaf": r"BUG: KASAN: slab-use-after-free in .*\[boom\]",
    },
    "kcsan": {
        "kcsan_race": r"BUG: KCSAN: data-race in .*\[boom\]",
    },
}

# Settings below /proc/sys/kernel for one fault: seconds, not minutes.
SYSCTL = {
    "soft_lockup": {"watchdog_thresh": "1", "watchdog": "1"},
    "hung_task": {"hung_task_check_interval_secs": "1",
                  "hung_task_timeout_secs": "1"},
}


def read(path):
    with open(path, errors="replace") as file:
        return file.read()


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def log(text):
    for line in text.splitlines():
        print(f"# {line}", flush=True)


class Results:
    """KTAP of one stream."""

    def __init__(self, area):
        self.prefix = f"{KERNEL}.{area}."
        self.done = self.failed = 0
        print("KTAP version 1", flush=True)

    def add(self, name, is_ok, remark=""):
        """A result of ours; the remark says why."""
        log(remark)
        self.done += 1
        self.failed += not is_ok
        print(("ok" if is_ok else "not ok") +
              f" {self.done} {self.prefix}{name}", flush=True)

    def relay(self, line):
        """A line of another stream; its plan is not the last word."""
        if re.match(r"KTAP version|1\.\.\d", line):
            return
        found = re.match(r" *((?:not )?ok) \d+ ", line)
        if found:
            line = found[0] + self.prefix + line[found.end():]
        if found and line[0] != " ":
            self.done += 1
            self.failed += found[1] != "ok"
        print(line, end="", flush=True)

    def end(self):
        """Return: the exit status."""
        print(f"1..{self.done}", flush=True)
        return int(self.failed > 0 or not self.done)


# -- the kernel log ----------------------------------------------------------

def klog_take():
    """The kernel log, which is empty then but for a word of that."""
    text = host.sh("dmesg", "-c")
    with open(f"{OUT}/judged.txt", "a") as file:
        file.write(text)
    # a line without an end waits for more, and nobody sees it
    write("/dev/kmsg",
          f"vhx: {len(text.splitlines())} lines before were judged\n")
    return text


def klog_faults(text):
    """The lines that fail a run."""
    found = re.compile("|".join(line for line in read(PATTERNS).splitlines()
                                if line and line[0] != "#"))
    return [line for line in text.splitlines() if found.search(line)]


def is_race_of(report, module):
    """Whether the module makes one of the accesses, itself or by a function that
    it calls. What lies deeper, in an interrupt, or in a function of another
    module, is the kernel's own."""
    lines = report.splitlines()
    tops = [lines[i + 1:i + 3] for i, line in enumerate(lines)
            if re.search(r" to 0x[0-9a-f]+ of \d+ bytes by ", line)]
    owners = [re.findall(r"\[(\w+)\]$", "\n".join(top), re.M) for top in tops]
    return any(owner[:1] == [module] for owner in owners)


def klog_races(text, module):
    """Data races: (reports of the module's, others, the log without the lines
    that begin the others)."""
    ours, others, rest, report = [], [], [], None
    for line in text.splitlines():
        if "BUG: KCSAN: " in line:
            report = [line]
            continue
        rest.append(line)
        if report is None:
            continue
        report.append(line)
        if line.endswith("=" * 20):
            whole = "\n".join(report)
            (ours if is_race_of(whole, module) else others).append(whole)
            report = None
    if report:                  # cut off: whose it is cannot be told
        ours.append("\n".join(report))
    return ours, others, "\n".join(rest)


# -- watchers that are asked -------------------------------------------------

def lockdep_is_on():
    """After its first report, or KASAN's, lockdep watches nothing."""
    return bool(re.search(r"debug_locks: +1$", read("/proc/lockdep_stats"),
                          re.M))


def leaks():
    """What nobody points to any more, as kmemleak reports it, once.  It takes
    two scans: the first one only notes a checksum of each object."""
    time.sleep(LEAK_AGE_SECS)
    write(KMEMLEAK, "scan")
    write(KMEMLEAK, "scan")
    text = read(KMEMLEAK)
    write(KMEMLEAK, "clear")
    return text


def watch_races():
    """KCSAN is off until it is asked: a boot is slow enough."""
    if os.path.exists(KCSAN):
        write("/sys/module/kcsan/parameters/skip_watch", str(KCSAN_SKIP))
        write(KCSAN, "on")


def watchpoints():
    """How many accesses KCSAN has waited at for another."""
    return int(re.search(r"setup_watchpoints: (\d+)", read(KCSAN))[1])


@contextlib.contextmanager
def sysctl(settings):
    paths = {f"/proc/sys/kernel/{name}": value
             for name, value in settings.items()}
    before = {path: read(path) for path in paths}
    try:
        for path, value in paths.items():
            write(path, value)
        yield
    finally:
        for path, value in before.items():
            write(path, value)


# -- boom --------------------------------------------------------------------

def plant(ko, fault):
    """What the kernel log has of a fault."""
    with sysctl(SYSCTL.get(fault, {})):
        host.sh("insmod", ko, f"fault={fault}")
    is_found = fault != "kmemleak" or "[boom]" in leaks()
    host.sh("rmmod", "boom")
    text = klog_take()
    if fault == "kcsan_race":
        is_found = klog_races(text, "boom")[0]
    return text if is_found else ""


def boom(opts):
    results = Results("boom")
    watch_races()
    before = klog_faults(klog_take())
    results.add("log_before_clean_ok", not before, "\n".join(before))
    results.add("lockdep_on_before_ok", lockdep_is_on())
    for fault, report in FAULTS[KERNEL].items():
        began = time.monotonic()
        lines = [line for line in plant(opts.ko, fault).splitlines()
                 if re.search(report, line)]
        log(f"{fault}: {time.monotonic() - began:.0f} s")
        results.add(f"{fault}_caught_ok", lines, "\n".join(lines[:1]))
        results.add(f"{fault}_fails_a_run_ok", klog_faults("\n".join(lines)))
    if "lockdep_order" in FAULTS[KERNEL]:
        results.add("lockdep_off_after_ok", not lockdep_is_on())
    return results.end()


# -- selftests ---------------------------------------------------------------

def fail_calls_of(module, percent):
    """Memory and copies fail where a function of the module is in the stack."""
    symbols = symbols_of(module)
    settings = {"require-start": symbols[0][0],
                "require-end": symbols[-1][0] + PAGE,
                "stacktrace-depth": 32, "times": -1, "interval": 1,
                "verbose": 1, "probability": percent}
    for kind in ("failslab", "fail_page_alloc", "fail_usercopy"):
        for name, value in settings.items():
            write(f"/sys/kernel/debug/{kind}/{name}", str(value))
    # also those that may wait for memory, of one page too
    write("/sys/kernel/debug/failslab/ignore-gfp-wait", "N")
    write("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N")
    write("/sys/kernel/debug/fail_page_alloc/min-order", "0")


def check_failures(results):
    """No more of them; there were some."""
    for kind in ("failslab", "fail_page_alloc", "fail_usercopy"):
        write(f"/sys/kernel/debug/{kind}/probability", "0")
    count = host.sh("dmesg").count("FAULT_INJECTION: forcing a failure")
    results.add("calls_failed_ok", count, f"at least {count} calls failed")


def run_programs(results, opts, node):
    env = {**os.environ, "VHX_NODE": node, "VHX_MODULE": opts.module,
           "OUTPUT": opts.bin}
    with subprocess.Popen([RUN, *opts.programs], stdout=subprocess.PIPE,
                          env=env, text=True, errors="replace") as run:
        for line in run.stdout:
            if opts.fail:
                log(line)
            else:
                results.relay(line)


def symbols_of(module):
    """Its functions: (address, name), the lowest first."""
    words = [line.split() for line in read("/proc/kallsyms").splitlines()
             if line.endswith(f"[{module}]")]
    return sorted((int(address, 16), name) for address, kind, name, _ in words
                  if kind in "tT")


def with_names(text, symbols):
    """The text with names of a module that is gone where it has addresses."""
    def name(found):
        address = int(found[0], 16)
        index = bisect.bisect(symbols, (address, "~")) - 1
        if index < 0 or address > symbols[-1][0] + PAGE:
            return found[0]
        return f"{symbols[index][1]}+{address - symbols[index][0]:#x}"
    return re.sub(r"0x[0-9a-f]{16}$", name, text, flags=re.M)


def check_leaks(results, module):
    """Unloads the module.  What it lost before is lost still, and what only its
    own variables pointed to is now."""
    symbols = symbols_of(module)
    host.unload(module)
    began = time.monotonic()
    text = leaks()
    log(f"two scans: {time.monotonic() - began:.0f} s")
    results.add("no_leak_ok", not text, with_names(text, symbols))


def check_log(results, module):
    """Races of the kernel's own are told and taken out of a log that is clean
    but for them; any other log is left to the rig."""
    text = host.sh("dmesg")
    ours, others, rest = klog_races(text, module)
    faults = klog_faults(rest)
    log("\n".join(f"race of the kernel's own: {name}" for name in sorted(
        {race.splitlines()[0].split("BUG: ")[1] for race in others})))
    log(f"data races: {len(ours)} with {module}, {len(others)} others")
    results.add("no_race_ok", not ours, "\n".join(ours))
    results.add("log_clean_ok", not faults, "\n".join(faults))
    if others and not ours and not faults:
        klog_take()


def selftests(opts):
    results = Results(opts.module + (".fail" if opts.fail else ""))
    node = "/dev/vhost-net"
    if opts.module != host.IN_TREE:
        node = "/dev/vhost-net-vhx"
    host.load(opts.module, node)
    watch_races()
    if opts.fail:
        fail_calls_of(opts.module, opts.fail)
    run_programs(results, opts, node)
    if opts.fail:
        check_failures(results)
    if "kmemleak" in FAULTS[KERNEL]:
        check_leaks(results, opts.module)
    else:
        host.unload(opts.module)
        number = watchpoints()
        results.add("races_watched_ok", number, f"{number} watchpoints")
    check_log(results, opts.module)
    results.add("lockdep_on_ok", lockdep_is_on())
    return results.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("boom")
    command.set_defaults(func=boom)
    command.add_argument("ko")
    command = commands.add_parser("selftests")
    command.set_defaults(func=selftests)
    command.add_argument("--module", default="vhx_net")
    command.add_argument("--fail", type=int, metavar="PERCENT")
    command.add_argument("bin", help="folder of the programs")
    command.add_argument("programs", nargs="*", help="default: all")
    opts = parser.parse_args()
    return opts.func(opts)


if __name__ == "__main__":
    sys.exit(main())
