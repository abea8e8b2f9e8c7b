#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compares the TAP streams of in-tree vhost_net and of vhx_net.

usage: tap_diff.py [-k KERNEL] [-l LIST] [-p] [-a] IN-TREE.tap OURS.tap

Every difference must be on the list (differences.txt beside this file), and
every line of the list that applies to the kernel must still be a difference.
A line of the list is

    test  in-tree  ours  kernels  reason

with fields apart by blanks. A test is `fixture.variant.name` and may hold
shell wildcards; then each line must match at least one difference. Results
are ok, not-ok, skip, absent; `racy` for in-tree means that it may or may not
differ. Kernels are `all` or names apart by commas.

A test that fails on ours fails the comparison, listed or not, unless the list
says `not-ok` for ours.

With -a it names the programs in which in-tree alone fails, and no line of the
list says so: to be run once more on in-tree, since under emulation its deadlines
pass now and then. Of results of one test in a stream the last one counts.
"""
import argparse
import fnmatch
import os
import re
import sys

PROGRAM = re.compile(r"\s*# Subtest: (\S+)")
RUN = re.compile(r"\s*#\s+RUN\s+(\S+) \.\.\.")
RESULT = re.compile(r"\s*(not ok|ok) \d+(?: -)?(?: (.*))?$")


def lacks_of(path):
    """Tests of a stream for which its kernel lacks something."""
    with open(path, errors="replace") as stream:
        names = re.findall(r"#\s+RUN\s+(\S+) \.\.\.\n(?:(?!.*#\s+RUN).*\n)*?"
                           r"\s*ok \d+.*# SKIP this kernel ", stream.read())
    return set(names)


def parse(path):
    """Return {test: result} and {test: program} of one stream."""
    results, programs, name, program = {}, {}, None, ""
    with open(path, errors="replace") as stream:
        for line in stream:
            subtest = PROGRAM.match(line)
            if subtest:
                program = subtest.group(1)
                continue
            run = RUN.match(line)
            if run:
                name = run.group(1)
                results[name] = "absent"  # until its result is read
                programs[name] = program
                continue
            result = RESULT.match(line.rstrip("\n"))
            if result and name:
                skipped = "# SKIP" in (result.group(2) or "")
                word = "ok" if result.group(1) == "ok" else "not-ok"
                results[name] = "skip" if skipped else word
                name = None
    return results, programs


def read_list(path, kernel):
    """Return [(pattern, in-tree, ours, reason)] that apply to a kernel."""
    entries = []
    with open(path) as lines:
        for number, line in enumerate(lines, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            fields = line.split(None, 4)
            if len(fields) != 5:
                sys.exit(f"{path}:{number}: five fields wanted")
            pattern, intree, ours, kernels, reason = fields
            if kernels == "all" or kernel in kernels.split(","):
                entries.append((pattern, intree, ours, reason))
    return entries


def was_run(pattern, tests):
    """Is there a test of that name at all?"""
    return any(fnmatch.fnmatchcase(test, pattern) for test in tests)


def compare(intree, ours, entries, partial):
    """Return the lines that say what is wrong."""
    wrong, known, used = [], [], set()
    for test in sorted(set(intree) | set(ours)):
        a, b = intree.get(test, "absent"), ours.get(test, "absent")
        match = [i for i, e in enumerate(entries)
                 if fnmatch.fnmatchcase(test, e[0]) and e[1] in (a, "racy")
                 and e[2] == b]
        if a == b and b != "not-ok":
            continue
        if match:
            used.add(match[0])
            known.append(f"{test}: in-tree {a}, ours {b}: "
                         f"{entries[match[0]][3]}")
        else:
            wrong.append(f"{test}: in-tree {a}, ours {b}: not on the list")
    for i, entry in enumerate(entries):
        if partial and not was_run(entry[0], ours):
            continue
        if i not in used and entry[1] != "racy":
            wrong.append(f"{entry[0]}: listed as in-tree {entry[1]}, ours "
                         f"{entry[2]}, but there is no such difference")
    return wrong, known


def run_again(intree, ours, entries, programs):
    """Return the programs of tests in which in-tree alone fails, unlisted."""
    return sorted({programs[test] for test, result in intree.items()
                   if result in ("not-ok", "absent") and
                   ours.get(test) == "ok" and
                   not any(fnmatch.fnmatchcase(test, entry[0])
                           for entry in entries)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-k", "--kernel", default="")
    parser.add_argument("-l", "--list", default=os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "differences.txt"))
    parser.add_argument("-p", "--partial", action="store_true")
    parser.add_argument("-a", "--again", action="store_true")
    parser.add_argument("-o", "--other", action="store_true",
                        help="in-tree ran on another kernel, which may have "
                        "more of what tests need")
    parser.add_argument("intree")
    parser.add_argument("ours")
    args = parser.parse_args()
    (intree, programs), (ours, _) = parse(args.intree), parse(args.ours)
    if not intree or not ours:
        sys.exit("a stream holds no tests")
    for test in lacks_of(args.ours) if args.other else ():
        for results in (intree, ours):
            results.pop(test, None)
    entries = read_list(args.list, args.kernel)
    if args.again:
        print(" ".join(run_again(intree, ours, entries, programs)))
        return 0
    wrong, known = compare(intree, ours, entries, args.partial)
    for line in known:
        print(f"listed: {line}")
    for line in wrong:
        print(f"WRONG: {line}")
    print(f"{len(intree)} tests in-tree, {len(ours)} ours, "
          f"{len(known)} listed differences, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
