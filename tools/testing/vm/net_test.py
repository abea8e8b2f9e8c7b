#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the node that others have, on in-tree and on vhx_net: KTAP on stdout.

usage: net_test.py VHOST_NET_TEST CRATE_TESTS

The kernel's, as vm vhost_net_test built it, and those of rust-vmm's vhost crate, as
rust-tests-build.sh did. Runs in L1, as root. Names are
vhost_net_test.<module>.<options>_ok and vhost_net_test.<module>.rust_<test>_ok.
"""
import itertools
import re
import subprocess
import sys

import host
from bench import log

NODE = "/dev/vhost-net"
OPTIONS = ("--no-indirect", "--no-event-idx", "--delayed-interrupt")
NUMBER = 3000                       # of buffers each way
# With this one the tap's header has 12 bytes and the device's 10: in-tree drops
# each frame as one of a wrong length, and the test waits for ever.
LEGACY = "--no-virtio-1"


def ran(program, *options, secs):
    """What it printed; what became of it: its status, or "no end"."""
    with subprocess.Popen([program, "--buf-num", str(NUMBER), *options],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as proc:
        try:
            out, _ = proc.communicate(timeout=secs)
        except subprocess.TimeoutExpired:
            proc.kill()
            return proc.communicate()[0], "no end"
        return out, proc.returncode


def is_whole(out):
    """All buffers came back, both ways."""
    return all(f"{way} spurious" in out for way in ("RX", "TX")) and \
        out.count(f"started=0x{NUMBER:x} completed=0x{NUMBER:x}") == 2


def crate_tests(program):
    """Those of the kernel half, and whether each passed."""
    done = subprocess.run([program, "--ignored", "--test-threads=1",
                           "vhost_kern::net::"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=120, check=False)
    log(done.stdout.strip().replace("\n", "\n# "))
    return re.findall(r"^test vhost_kern::net::tests::test_(\w+)\b.*\.\.\. (\w+)$",
                      done.stdout, re.M)


class Results:
    """Printed as they come."""
    done = failed = 0

    def put(self, name, is_ok):
        self.done += 1
        self.failed += not is_ok
        print("ok" if is_ok else "not ok", self.done, f"vhost_net_test.{name}",
              flush=True)


def option_sets():
    return itertools.chain.from_iterable(
        itertools.combinations(OPTIONS, count)
        for count in range(len(OPTIONS) + 1))


def of_module(results, module, kernels, crates):
    """All on one module. Return: what became of LEGACY."""
    for options in option_sets():
        out, status = ran(kernels, *options, secs=120)
        is_ok = status == 0 and is_whole(out)
        if not is_ok:
            log(f"{status}: {out}".replace("\n", "\n# "))
        name = "_".join(option[2:].replace("-", "_") for option in options)
        results.put(f"{module}.{name or 'plain'}_ok", is_ok)
    found = crate_tests(crates)
    for name, verdict in found:
        results.put(f"{module}.rust_{name}_ok", verdict == "ok")
    results.put(f"{module}.rust_tests_found_ok", len(found) >= 3)
    out, legacy = ran(kernels, LEGACY, secs=20)
    log(f"{module} {LEGACY}: {legacy} {out}".replace("\n", "\n# "))
    return legacy


def main(kernels, crates):
    print("KTAP version 1", flush=True)
    results = Results()
    legacy = []
    for module in (host.IN_TREE, "vhx_net"):
        host.load(module, NODE)
        legacy.append(of_module(results, module, kernels, crates))
        host.unload(module)
    results.put("vhx_net.no_virtio_1_as_in_tree_ok", legacy[0] == legacy[1])
    print(f"1..{results.done}")
    return results.failed > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
