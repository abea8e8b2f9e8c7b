# SPDX-License-Identifier: GPL-2.0-only
"""The domains of Documentation/guide.rst, for libvirt_test.py.

They are used as they stand, but for what L1 does not have: memory, the guide's
bridge, and more than two CPUs, so that a worker on one of them says something.
"""
import os
import re

import host
from pin_test import cpus, expect

GUIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                     "../../../Documentation/guide.rst")
DRIVER = r"<driver name='vhost'/>"
DISK = "/var/lib/libvirt/images/web1.img"


def part(name):
    with open(GUIDE) as file:
        return file.read().split(f".. {name} begin\n")[1].split(
            f".. {name} end\n")[0]


def domain():
    """The full one."""
    return re.search(r"^\t<domain .*?^\t</domain>$", part("domain"),
                     re.M | re.S)[0]


def variants():
    """The full one with each of the other lines in place of its driver's."""
    lines = re.findall(r"::\n\n((?:\t.*\n)+)", part("variants"))
    if not lines or domain().count(DRIVER) != 1:
        raise host.HostError("guide.rst has no variants, or not one driver")
    return [domain().replace(DRIVER, text) for text in lines]


def put(libvirt, text, accel):
    for old, new in (("domain type='kvm'", f"domain type='{accel}'"),
                     ("unit='GiB'>2<", "unit='MiB'>64<"),
                     ("cpuset='0-1'", "cpuset='1'"),
                     ("bridge='br0'", "bridge='vhxbr0'")):
        if text.count(old) != 1:
            raise host.HostError(f"guide.rst has not one {old}")
        text = text.replace(old, new)
    with open(f"{libvirt.root}/etc/guide.xml", "w") as file:
        file.write(text)


def domain_of_the_guide_ok(_rig, libvirt, accel):
    """Its schema, a start, and a worker on the CPUs that it says."""
    path, ptys = libvirt.root + DISK, libvirt.root + "/dev/pts"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.makedirs(ptys, exist_ok=True)
    if not os.path.ismount(ptys):
        host.sh("mount", "-t", "devpts", "devpts", ptys)
    with open(path, "w") as file:
        file.truncate(1 << 20)
    put(libvirt, domain(), accel)
    libvirt.virsh("create", "--validate", "/etc/guide.xml")
    try:
        pid = int(host.sh("cat", "/run/libvirt/qemu/web1.pid"))
        found = list(host.workers(pid))
        expect(1, len(found))
        expect("1", cpus(int(found[0])))
        expect(1, host.node_fds(pid, "/dev/vhost-net"))
    finally:
        libvirt.virsh("destroy", "web1")


def variants_of_the_guide_ok(_rig, libvirt, accel):
    for text in variants():
        put(libvirt, text, accel)
        libvirt.virsh("define", "--validate", "/etc/guide.xml")
        libvirt.virsh("undefine", "web1")


CASES = [domain_of_the_guide_ok, variants_of_the_guide_ok]
