#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs in L1: the fuzzer PROGRAM on $VHX_KO for SECS, then KTAP and, with a
module built for it (KCOV_INSTRUMENT=y), what of it was reached. What the
fuzzer leaves is in $VHX_OUT: when the machine died, `last` has the programs
before that, and `PROGRAM -r last` runs them again."""
import collections
import glob
import os
import re
import subprocess
import sys

sys.path.insert(0, "tools/testing/vm")
import debug                    # noqa: E402

KO = os.environ["VHX_KO"]
OUT = os.environ["VHX_OUT"]
TRACE = "__sanitizer_cov_trace_pc"


def places():
    """Places that kcov knows in the module: {(section, offset): function}. It
    reports where the call of a place returns to."""
    found, section, function, is_call = {}, "", "", False
    text = subprocess.run(["objdump", "-dr", "--no-show-raw-insn", KO],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    for line in text.splitlines():
        if match := re.match(r"Disassembly of section (.*):", line):
            section = match[1]
        elif match := re.match(r"[0-9a-f]+ <(.*)>:", line):
            function = match[1]
        elif re.search(rf"R_X86_64_\w+\s+{TRACE}\b(?!_)", line):
            is_call = True
        elif is_call and (match := re.match(r" *([0-9a-f]+):\t", line)):
            found[section, int(match[1], 16)] = function
            is_call = False
    return found


def reached():
    """Of them, those in the file `pcs`."""
    starts = {}
    for path in glob.glob("/sys/module/vhx_net/sections/.*text*"):
        with open(path) as file:
            starts[os.path.basename(path)] = int(file.read(), 16)
    with open(f"{OUT}/pcs") as file:
        pcs = [int(line, 16) for line in file]
    return {(name, pc - start) for pc in pcs for name, start in starts.items()}


def report(known):
    """Return: how many places were reached."""
    hit = reached() & known.keys()
    total = collections.Counter(known.values())
    seen = collections.Counter(known[place] for place in hit)
    never = sorted(name for name in total if not seen[name])
    print(f"# reached {len(hit)} of {len(known)} places, "
          f"{len(seen)} of {len(total)} functions")
    for name in never:
        print(f"# never: {name}")
    for name in sorted(seen):
        if seen[name] < total[name]:
            print(f"# part: {name} {seen[name]}/{total[name]}")
    return len(hit)


def main(program, secs, *options):
    results = debug.Results("fuzz")
    subprocess.run(["modprobe", "-a", "tun", "tap", "macvtap"], check=True)
    subprocess.run(["insmod", KO, "node=vhost-net-vhx"], check=True)
    os.environ["VHX_NODE"] = "/dev/vhost-net-vhx"
    has_kcsan = os.path.exists(debug.KCSAN)
    debug.watch_races()
    # races of the kernel's own are none of a program's: all are judged here
    options += ("-q",) if has_kcsan else ()
    run = subprocess.run([program, "-o", OUT, *options, secs], check=False)
    results.add("programs_ok", run.returncode == 0)
    # a module that is built for it, on a kernel that has it
    if os.path.exists("/sys/kernel/debug/kcov") and (known := places()):
        results.add("coverage_ok", report(known))
    subprocess.run(["rmmod", "vhx_net"], check=True)
    if has_kcsan:
        number = debug.watchpoints()
        results.add("races_watched_ok", number, f"{number} watchpoints")
    debug.check_log(results, "vhx_net")
    return results.end()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
