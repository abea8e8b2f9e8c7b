#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The tracepoints in L1 as an operator uses them: scripts, trace-cmd, perf; prints KTAP.

Each script of tools/trace runs while a situation of selftests/vhost/trace_test.c takes
place, whose numbers must be in what it prints.
Arguments: the folder of the selftests; the name of the root with the tools; then
names of cases, to run only those.
"""
import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import host

NODE = "vhost-net-vhx"
SCRIPTS = "tools/trace"
TMP = "/tmp/vhx-trace"
START_SECS = 120                # bpftrace compiles, under emulation
RING = r"\d+, \d+, "            # owner and device, before the ring
# where the first page lies that the situation has missed: behind two rings
PAGES = "0x10040[012]000"

# script: the situation, and what must be printed: pattern, how often (or None)
CASES = {
    "drops": ("drops_say_why_ok", [
        (rf"@dropped\[{RING}1, short\]: 5$", 1),
        (rf"@dropped\[{RING}1, writable\]: 2$", 1),
        (r"@dropped", 2)]),
    "latency": ("burst_is_counted_ok", [
        (rf"@wake_to_used_us\[{RING}1\]:", 1),
        (rf"@wake_to_used_us\[{RING}0\]:", 1),
        (rf"@run_us\[{RING}[01]\]:", 2),
        (r"^\[\d+[KM]?(, \d+[KM]?\))?\]? +\d+ \|", None)]),
    "wakeups": ("kicks_for_nothing_ok", [
        (r"^\d\d:\d\d:\d\d$", None),
        (r"@wakes\[\d+, \d+, 0\]: \d+$", None),
        (rf"@kicks\[{RING}1\]: \d+$", None),
        (rf"@calls\[{RING}1\]: 1$", 1)]),
    "spurious": ("kicks_for_nothing_ok", [
        (rf"@kicks\[{RING}1\]: 7$", 1),
        (rf"@spurious\[{RING}1\]: 6$", 1)]),
    "iotlb": ("iotlb_has_addresses_ok", [
        (rf"@misses\[{RING}1, {PAGES}\]: 1$", 3),
        (r"@answer_us\[\d+, \d+\]:", 1),
        (rf"@waits\[{RING}1\]: \d+$", 1),
        (r"@invalidates\[\d+, \d+\]: 1$", 1),
        (r"@evicted\[\d+, \d+\]: \d+$", 1)]),
}


class Tools:
    """Commands in the root that has them, situations outside of it."""

    def __init__(self, programs, root):
        self.test = os.path.join(programs, "trace_test")
        self.enter = host.enter_root(root)
        path = os.environ["VHX_ROOT_" + root.replace("-", "_")]
        for name in ("kernel/tracing", "kernel/debug"):
            host.sh("mount", "--bind", f"/sys/{name}", f"{path}/sys/{name}")
        os.environ.update(VHX_NODE=f"/dev/{NODE}", VHX_MODULE="vhx_net")

    def situation(self, name):
        host.sh(self.test, "-t", name, timeout=120)

    def sh(self, *argv):
        return host.sh(*self.enter, *argv, timeout=300)

    def watched(self, argv, name, is_ready):
        """What a command prints that is ended by SIGINT after a situation."""
        path = f"{TMP}/out"
        with open(path, "w") as out, \
                subprocess.Popen([*self.enter, *argv], stdout=out,
                                 stderr=out) as proc:
            try:
                until = time.monotonic() + START_SECS
                while not is_ready(proc.pid, read(path)):
                    if proc.poll() is not None or time.monotonic() > until:
                        raise host.HostError(f"did not start: {read(path)}")
                    time.sleep(0.1)
                self.situation(name)
                time.sleep(1.5)     # the rest of an interval
            finally:
                proc.send_signal(signal.SIGINT)
                proc.wait(60)
        return read(path)


def read(path):
    with open(path, errors="replace") as file:
        return file.read()


def expect(text, wanted):
    for pattern, number in wanted:
        found = len(re.findall(pattern, text, re.M))
        if found != number if number is not None else not found:
            raise host.HostError(f"{pattern}: {found} times in:\n{text}")


def says_so(_pid, text):
    return "Tracing" in text


def has_events(pid, _text):
    """perf says nothing when it begins."""
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            if "perf_event" in os.readlink(f"/proc/{pid}/fd/{name}"):
                time.sleep(2)   # to open the others, and the buffers
                return True
    return False


def script(tools, name):
    situation, wanted = CASES[name]
    program = read(f"{SCRIPTS}/{name}.bt")
    expect(tools.watched(["bpftrace", "-e", program], situation, says_so), wanted)


def trace_cmd(tools):
    """Recorded for all processes, and read by the formats that the file has."""
    data = f"{TMP}/trace.dat"
    tools.sh("trace-cmd", "start", "-e", "vhx")
    tools.situation("drops_say_why_ok")
    tools.sh("trace-cmd", "stop")
    tools.sh("trace-cmd", "extract", "-o", data)
    tools.sh("trace-cmd", "reset")
    expect(tools.sh("trace-cmd", "report", "-i", data), [
        (r"vhx_drop: +dev=\d+ owner=\d+ ring=1 reason=short nr=1$", 5),
        (r"vhx_backend_set: +dev=\d+ owner=\d+ ring=1 from=none to=tap$", 1)])


def perf_trace(tools):
    path = f"{TMP}/perf"
    said = tools.watched(["perf", "trace", "-a", "-o", path, "--no-syscalls", "-e",
                          "vhx:vhx_drop,vhx:vhx_owner_set"], "drops_say_why_ok",
                         has_events)
    expect(said + read(path), [(r"vhx:vhx_drop\(.*reason", 7),
                        (r"vhx:vhx_owner_set\(", 1)])


def perf_stat(tools):
    path = f"{TMP}/perf"
    said = tools.watched(["perf", "stat", "-a", "-x,", "-o", path, "-e",
                          "vhx:vhx_drop"], "drops_say_why_ok", has_events)
    expect(said + read(path), [(r"^7,.*vhx:vhx_drop", 1)])


def main(programs, root, *only):
    host.sh("modprobe", "-a", "tun", "tap", "macvtap")
    host.sh("insmod", os.environ["VHX_KO"], f"node={NODE}")
    os.makedirs(TMP, exist_ok=True)
    tools = Tools(programs, root)
    cases = {f"{name}.bt_ok": lambda name=name: script(tools, name)
             for name in CASES}
    cases |= {"trace-cmd_ok": lambda: trace_cmd(tools),
              "perf_trace_ok": lambda: perf_trace(tools),
              "perf_stat_ok": lambda: perf_stat(tools)}
    names = [name for name in cases if not only or name in only]
    print(f"KTAP version 1\n1..{len(names)}\n# "
          f"{tools.sh('bpftrace', '--version').strip()}", flush=True)
    failed = 0
    for number, name in enumerate(names, 1):
        verdict, start = "ok", time.monotonic()
        try:
            cases[name]()
        except (host.HostError, subprocess.SubprocessError) as err:
            verdict = "not ok"
            failed += 1
            print(*(f"# {line}" for line in str(err).splitlines()), sep="\n")
        print(f"{verdict} {number} trace.{name}", flush=True)
        print(f"# {time.monotonic() - start:.0f} s", flush=True)
    host.sh("rmmod", "vhx_net")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
