#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The tables of features and clients in Documentation/features.rst, from tests.

usage: features.py [-w | --partial] CHECK-DIR

CHECK-DIR is where tools/testing/check leaves its results; features.txt beside
this file says which tests show what. A cell of a feature is `yes` where all that
ran passed, `faults` where some did, `-` where none did or all were skipped; one
of a client names the host kernels on which all passed. `check all` runs what the
tables need: without -w it fails when the page says anything else. --partial is
for a check of fewer guests: of clients it compares what ran.
"""
import argparse
import fnmatch
import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "selftests/vhost"))
import tap_diff  # noqa: E402  pylint: disable=wrong-import-position

KERNELS = ("6.1", "6.12", "7.3")
MODULES = ("vhx_net", "vhost_net")
PAGE = os.path.join(HERE, "../../Documentation/features.rst")
BEGIN, END = ".. features begin\n", ".. features end\n"
CLIENTS = ("QEMU 7.2", "QEMU 10.0", "QEMU 11.1", "DPDK testpmd")
# ok 3 guest.6.12.qemu-10.0.kvm.mq_both_queues_ok
GUEST = re.compile(r"(not ok|ok) \d+ guest\.(\d+\.\d+)(?:\.qemu-([\d.]+))?"
                   r"\.(?:kvm|tcg)\.(\w+)$")


def read_rows(mark):
    """[(name, patterns)] of the lines that begin with a mark, or with none."""
    with open(os.path.join(HERE, "features.txt")) as lines:
        for line in lines:
            if not line.strip() or line[0] == "#" or \
                    line.startswith("@") != bool(mark):
                continue
            name, patterns = line.lstrip("@ ").rsplit(":", 1)
            yield name, patterns.split()


def cell(results, patterns):
    said = []
    for pattern in patterns:
        found = [result for test, result in results.items()
                 if fnmatch.fnmatch(test, pattern)]
        if not found:
            sys.exit(f"features.txt: no test is called {pattern}")
        said += found
    if "ok" not in said:
        return "-"
    return "faults" if {"not-ok", "absent"} & set(said) else "yes"


def read_results(check_dir, module, kernel):
    """{test: result}; what in-tree fails now and then, it fails."""
    results, _ = tap_diff.parse(os.path.join(
        check_dir, f"selftests-{kernel}", f"{module}.tap"))
    known = tap_diff.read_list(os.path.join(
        HERE, "selftests/vhost/differences.txt"), kernel)
    racy = [entry[0] for entry in known if entry[1] == "racy"]
    for test in results if module == "vhost_net" else ():
        if any(fnmatch.fnmatch(test, pattern) for pattern in racy):
            results[test] = "not-ok"
    return results


def make_features(check_dir):
    results = {(module, kernel): read_results(check_dir, module, kernel)
               for module in MODULES for kernel in KERNELS}
    yield ["feature"] + [f"{'vhx' if m == 'vhx_net' else 'in-tree'} {k}"
                         for m in MODULES for k in KERNELS]
    for name, patterns in read_rows(""):
        yield [name] + [cell(results[key], patterns) for key in results]


def read_guests(check_dir):
    """{(client, kernel): {test: passed}}"""
    results = {}
    for path in glob.glob(os.path.join(check_dir, "guests-*.tap")):
        with open(path, errors="replace") as lines:
            for said in filter(None, map(GUEST.match, lines)):
                verdict, kernel, qemu, test = said.groups()
                client = "DPDK testpmd" if test.startswith("testpmd_") \
                    else f"QEMU {qemu or '7.2'}"
                tests = results.setdefault((client, kernel), {})
                tests[test] = verdict == "ok" and tests.get(test, True)
    return results


def passed(tests, patterns):
    said = [ok for test, ok in tests.items()
            if any(fnmatch.fnmatch(test, pattern) for pattern in patterns)]
    return said and all(said)


def make_clients(check_dir):
    results = read_guests(check_dir)
    yield ["what ran, on hosts with vhx", *CLIENTS]
    for name, patterns in read_rows("@"):
        yield [name] + [", ".join(k for k in KERNELS if passed(
            results.get((client, k), {}), patterns)) or "-"
            for client in CLIENTS]


def contradictions(check_dir, table):
    """What a check that ran some of the guests knows better than the table of
    clients; a row counts where all that it had in check_dir's runs ran."""
    results = read_guests(check_dir)
    said = {row[0]: row[1:] for row in
            (re.split(r"  +", line.strip()) for line in table.splitlines())}
    for name, patterns in read_rows("@"):
        for client, text in zip(CLIENTS, said.get(name, ())):
            for kernel in KERNELS:
                tests = results.get((client, kernel), {})
                ran = [test for test in tests if any(
                    fnmatch.fnmatch(test, pattern) for pattern in patterns)]
                is_said = kernel in text.split(", ")
                if is_said and not all(tests[test] for test in ran):
                    yield f"{name}: {client} on {kernel} failed"
        if name not in said:
            yield f"{name}: no such row"


def layout(rows):
    rows = list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rule = "  ".join("=" * width for width in widths)
    text = ["  ".join(word.ljust(width) for word, width in zip(row, widths))
            .rstrip() for row in rows]
    return "\n".join(["", rule, text[0], rule, *text[1:], rule, ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-w", "--write", action="store_true")
    parser.add_argument("--partial", action="store_true")
    parser.add_argument("check_dir")
    opts = parser.parse_args()
    with open(PAGE) as file:
        before, rest = file.read().split(BEGIN)
        table, after = rest.split(END)
    made = layout(make_features(opts.check_dir))
    if opts.partial:
        wrong = list(contradictions(opts.check_dir, table))
        if not table.startswith(made):
            wrong.append("the table of features is:" + made)
        print("\n".join(wrong))
        return bool(wrong)
    made += layout(make_clients(opts.check_dir)) + "\n"
    if made == table:
        return 0
    if opts.write:
        with open(PAGE, "w") as file:
            file.write(before + BEGIN + made + END + after)
        return 0
    print("features.rst says:" + table + "The tests say:" + made)
    return 1


if __name__ == "__main__":
    sys.exit(main())
