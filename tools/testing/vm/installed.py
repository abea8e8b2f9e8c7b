# SPDX-License-Identifier: GPL-2.0-only
"""What steps with an installed vhx share: install.py, deb.py and ansible.py."""
import os
import subprocess
import sys

import host

NODE = "/dev/vhost-net"
CONF = "/etc/modprobe.d/vhx.conf"
SLOTS_CONF = "/etc/modprobe.d/vhx-slots.conf"
KREL = os.uname().release


def sh(cmd, timeout=300):
    return host.sh("sh", "-c", cmd, timeout=timeout)


def loaded():
    return {name for name in ("vhx_net", "vhost_net")
            if os.path.isdir(f"/sys/module/{name}")}


def expect(want, got):
    if want != got:
        raise host.HostError(f"expected {want}, got {got}")


def open_node():
    os.close(os.open(NODE, os.O_RDWR))


def unload():
    """And vhost, which is loaded beside vhx_net: each load is the first."""
    for name in loaded():
        host.unload(name)
    subprocess.run(["rmmod", "vhost"], stderr=subprocess.DEVNULL, check=False)


def run_steps(area, steps):
    """Those that the command line names, or all; prints KTAP. Return: did one fail"""
    only = sys.argv[1:]
    steps = [s for s in steps if not only or s.__name__ in only]
    print("TAP version 13")
    print(f"1..{len(steps)}", flush=True)
    failed = 0
    for number, func in enumerate(steps, 1):
        verdict = "ok"
        try:
            func()
        except Exception as err:    # a step's failure is its verdict
            verdict = "not ok"
            failed += 1
            for line in f"{type(err).__name__}: {err}".splitlines():
                print(f"# {line}")
        print(f"{verdict} {number} {area}.{func.__name__}", flush=True)
    return failed > 0
