#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""DPDK's virtio-user on vhx-switch, with a tap as the other port: KTAP on stdout.

usage: unshare -nm virtio_user.py SWITCH

Runs on the machine itself, in namespaces of its own; VHX_ROOT_dpdk is what
`vm root dpdk` printed.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../vm"))
import testpmd  # noqa: E402
from bench import Suite  # noqa: E402


def main():
    bench = argparse.Namespace(opts=argparse.Namespace(
        switch=os.path.abspath(sys.argv[1])))
    suite = Suite("switch", None)
    print("KTAP version 1", flush=True)
    suite.group(lambda: testpmd.group_switch(bench, suite.case))
    return not suite.end()


if __name__ == "__main__":
    sys.exit(main())
