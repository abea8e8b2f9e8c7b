#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages of vhx in a Debian 12 that booted by systemd; prints KTAP.

From `apt-get install` to a guest on vhx_net, back to the version before, up again
while a guest runs, off while a guest runs, and purged: then in-tree serves, and no
file is left. VHX_DEBS has the folders "now" and "before" with the packages of two
versions. DKMS builds here; what the compiler made of the same source outside comes
from VHX_CCACHE, since emulated it takes a quarter of an hour.
Arguments: names of steps, to run only those.
"""
import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading

import host
from install import (ADDR, MANY, NODE, SLOTS, expect, guest, hide_modules, loaded,
                     open_node, refuse_many_slots, run_steps, sh, unload)
from install_status import see_guest, status

DEBS = os.environ["VHX_DEBS"]
# libvhx-dev asks for packages that the system does not have
PACKAGES = " ".join(f"{DEBS}/%(of)s/{name}*.deb"
                    for name in ("vhx-", "libvhx0", "libvhx-cuse"))
CONF = "/usr/lib/modprobe.d/vhx-dkms.conf"
# What other packages keep of any package: logs, lists, caches. DKMS makes its key
# with the first module that it builds.
OF_OTHERS = re.compile(r"/(var/(log|cache|lib/(apt|dpkg|systemd))|tmp|run|out|mnt|root)"
                       r"(/|$)|/etc/ld\.so\.cache$|/var/lib/dkms/mok\.(key|pub)$|"
                       r"/modules\.\w+(\.bin)?$")
STEPS = []
seen = {}


def step(func):
    STEPS.append(func)
    return func


def apt(*words):
    """What apt-get and the packages' scripts say."""
    out = sh(" ".join(["DEBIAN_FRONTEND=noninteractive DEBIAN_KERNEL_USE_CCACHE=1",
                       "CCACHE_DIR=/var/cache/ccache apt-get -qy -o",
                       "Dpkg::Use-Pty=0", *words]), timeout=1800)
    for line in out.splitlines():
        print("#", line, flush=True)
    return out


def files():
    found = sh("find / /lib/modules/ -xdev").splitlines()
    return {path for path in found if not OF_OTHERS.search(path)}


def version(of):
    """Of the packages in a folder."""
    name, = (name for name in os.listdir(f"{DEBS}/{of}")
             if name.startswith("vhx-dkms_"))
    return name.split("_")[1]


def serves(module, of=None):
    """Whoever opens the node gets that module."""
    open_node()
    expect({module}, loaded())
    if of:
        with open(f"/sys/module/{module}/version") as file:
            expect(version(of), file.read().strip())


def said(text, out):
    if text not in out:
        raise host.HostError(f"not said: {text}")


@contextlib.contextmanager
def pinged():
    """The guest answers all the time: no two pings in a row are lost."""
    proc = subprocess.Popen(["ping", "-O", "-i", "1", ADDR], text=True,
                            stdout=subprocess.PIPE)
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(proc.stdout))
    reader.start()
    try:
        yield
    finally:
        proc.terminate()
        reader.join()
    text = "".join(lines)
    if text.count("bytes from") < 3 or \
            re.search("no answer.*\n.*no answer", text):
        raise host.HostError(f"pings lost: {text[-500:]}")


@step
def system_is_up_ok():
    expect("systemd", sh("cat /proc/1/comm").strip())
    sh("systemctl is-system-running --wait || systemctl --failed >&2", timeout=120)
    serves("vhost_net")
    seen["files"] = files()


@step
def install_ok():
    """In-tree is loaded, and no VM uses it."""
    apt("install", PACKAGES % {"of": "now"})
    serves("vhx_net", "now")
    expect(True, "/updates/dkms/" in sh("modinfo -n vhx_net"))


@step
def no_unit_starts_ok():
    units = sh("dpkg -L vhx-tools | sed -n 's|.*/systemd/system/||p'").split()
    if not units:
        raise host.HostError("no units")
    for unit in units:
        # a service that has a timer is started by that
        is_timed = unit.replace(".service", ".timer") in set(units) - {unit}
        expect([unit, "static" if is_timed else "disabled", "inactive"],
               [unit, *sh(f"systemctl is-enabled {unit} || :; "
                          f"systemctl is-active {unit} || :").split()])


def pin_pid():
    """0: the unit does not run."""
    return int(sh("systemctl show -P MainPID vhx-pin"))


@step
def guest_ok():
    os.makedirs("/etc/vhx", exist_ok=True)
    with open("/etc/vhx/placement.conf", "w") as file:
        file.write("vm=nobody nice=1\n")
    sh("systemctl start vhx-pin")
    with guest() as one:
        expect({"vhx_net"}, loaded())
        see_guest(one.pid, "tap0")


@step
def rollback_ok():
    """No VM uses the one that is loaded: the next gets the other version. A unit
    that was started runs on, by the new program."""
    old = pin_pid()
    apt("install", "--allow-downgrades", PACKAGES % {"of": "before"})
    expect(set(), loaded())
    serves("vhx_net", "before")
    if not old or pin_pid() in (0, old):
        raise host.HostError(f"vhx-pin: {old}, then {pin_pid()}")


@step
def upgrade_under_a_guest_ok():
    with guest() as one:
        with pinged():
            out = apt("install", PACKAGES % {"of": "now"})
        said(f"VMs use vhx_net {version('before')}", out)
        serves("vhx_net", "before")
        host.ping(ADDR)
        expect(1, host.node_fds(one.pid, NODE))
        expect(True, status("vhx", 0, "upgrade")["upgrade_pending"])
    unload()
    serves("vhx_net", "now")


@step
def guest_of_100_slots_ok():
    unload()
    with guest(**MANY):
        expect("509", sh(f"cat {SLOTS}").strip())


@step
def guest_of_100_slots_without_vhost_refused():
    refuse_many_slots(CONF)


@step
def remove_under_a_guest_ok():
    with guest():
        with pinged():
            out = apt("remove", "'vhx-*'", "'libvhx*'")
        said("VMs use vhx_net", out)
        expect({"vhx_net"}, loaded())
        host.ping(ADDR)
    expect(0, pin_pid())
    shutil.rmtree("/etc/vhx")
    unload()
    serves("vhost_net")


@step
def purge_leaves_nothing_ok():
    # apt finds no removed package by a pattern if it knows none of that name
    names = sh(r"dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 'vhx-*' "
               r"'libvhx*' 2>/dev/null | sed -n 's/^rc *//p'").split()
    expect({"vhx-dkms", "vhx-tools"}, set(names))
    apt("purge", *names)
    expect([], sorted(files() - seen["files"]))
    serves("vhost_net")


def main():
    shutil.copytree(os.environ["VHX_CCACHE"], "/var/cache/ccache")
    hide_modules()
    host.modprobe_kvm()
    host.make_bridge()
    return run_steps("deb.debian-12", STEPS)


if __name__ == "__main__":
    sys.exit(main())
