# SPDX-License-Identifier: GPL-2.0-only
"""What steps with an installed vhx share: install.py, install_status.py."""
import os
import subprocess

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
