#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Uses and uninstalls vhx in L1 as real DKMS installed it; prints KTAP.

What a user sees of README's three lines: the node is autoloaded by whoever
opens it, QEMU needs no option, an unsupported kernel is skipped and served by
in-tree, and after `make uninstall` in-tree serves as if nothing had been.
`make install` itself ran outside (install-outside.sh): VHX_INSTALLED is the
folder of what it added to this machine.
Arguments: names of steps, to run only those.
"""
import contextlib
import errno
import os
import shutil
import subprocess
import sys

import host
import install_status
from guest import Guest, GuestError, Net
from installed import (CONF, KREL, NODE, SLOTS_CONF, expect, loaded, open_node,
                       run_steps, sh, unload)

STEPS = []
# What the steps load. depmod reads every module there is, for minutes under
# emulation: of the rest it sees none.
NEEDED = "vhost_net tun kvm_amd bridge"
ADDR = "10.77.0.2"
# A guest with so many memory slots; QEMU allows 64 unless vhost says more
SLOTS = "/sys/module/vhost/parameters/max_mem_regions"
MANY = {"machine": "slots", "mem": "256M,slots=100,maxmem=2G"}


def step(func):
    STEPS.append(func)
    return func


def make_static_nodes():
    """What a booting Debian does with modules.devname."""
    for line in sh("kmod static-nodes --format=tmpfiles").splitlines():
        words = line.split()
        if len(words) > 6 and words[1] == NODE:
            if not host.is_node(NODE):
                major, minor = map(int, words[6].split(":"))
                os.mknod(NODE, 0o20600, os.makedev(major, minor))
            return
    raise host.HostError("modules.devname does not have the node")


@contextlib.contextmanager
def guest(**more):
    """One on a tap that the node serves."""
    host.make_tap("tap0")
    try:
        net = Net("tap0", "52:54:00:00:00:02", f"{ADDR}/24")
        one = Guest([net], **more)
        try:
            one.start()
            host.ping(ADDR)
            expect(1, host.node_fds(one.pid, NODE))
            if not host.workers(one.pid):
                raise host.HostError("no worker")
            yield one
        finally:
            one.stop()
    finally:
        host.drop_tap("tap0")


def refuse_many_slots(conf):
    """What QEMU does without the lines of a file that name vhost."""
    unload()
    shutil.copy(conf, "/tmp/conf")
    sh(f"sed -i '/^softdep /d; /^options vhost /d' {conf}")
    try:
        with guest(**MANY):
            pass
    except GuestError as err:
        if "no free memory slots" not in str(err):
            raise
    else:
        raise host.HostError("100 slots without vhost's parameter")
    finally:
        shutil.copy("/tmp/conf", conf)
        unload()


@step
def dkms_install_ok():
    sh("cp -a $VHX_INSTALLED/. /")
    if "installed" not in sh("dkms status vhx"):
        raise host.HostError(sh("dkms status vhx"))


@step
def open_loads_vhx_ok():
    make_static_nodes()
    open_node()
    expect({"vhx_net"}, loaded())
    path = sh("modinfo -n vhx_net").strip()
    if "/updates/" not in path:
        raise host.HostError(f"vhx_net is {path}")


@step
def qemu_without_vhostfd_ok():
    with guest() as one:
        expect({"vhx_net"}, loaded())
        install_status.see_guest(one.pid, "tap0")


@step
def guest_of_100_slots_ok():
    unload()
    with guest(**MANY):
        expect("509", sh(f"cat {SLOTS}").strip())


@step
def guest_of_100_slots_without_vhost_refused():
    refuse_many_slots(SLOTS_CONF)


@step
def second_module_on_node_ebusy():
    unload()
    sh("modprobe vhost_net")
    ko = sh("modinfo -n vhx_net").strip()
    done = subprocess.run(["insmod", ko], capture_output=True, text=True,
                          check=False)
    if os.strerror(errno.EBUSY) not in done.stderr:
        raise host.HostError(f"insmod: {done.stderr}")
    lines = [line for line in sh("dmesg").splitlines()
             if "vhx_net: " in line and "rmmod vhost_net" in line]
    expect(1, len(lines))
    unload()


@step
def other_node_beside_in_tree_ok():
    sh("modprobe vhost_net")
    sh("modprobe vhx_net node=vhost-net-vhx")
    expect({"vhx_net", "vhost_net"}, loaded())
    expect(True, host.is_node("/dev/vhost-net-vhx"))
    unload()
    # ours first, on another node: the node's own open still finds in-tree
    sh("modprobe vhx_net node=vhost-net-vhx")
    open_node()
    expect({"vhx_net", "vhost_net"}, loaded())
    unload()


@step
def unsupported_kernel_skip():
    build = f"/lib/modules/{KREL}/build"
    for krel, status in (("5.10.0-99-amd64", 77), ("7.4.1-amd64", 77)):
        done = subprocess.run(
            ["dkms", "build", "-m", "vhx", "-v", version(), "-k", krel,
             "--kernelsourcedir", build], capture_output=True, check=False)
        expect(status, done.returncode)


@step
def kernel_without_vhx_loads_in_tree_ok():
    path = sh("modinfo -n vhx_net").strip()
    shutil.move(path, "/tmp/vhx_net.away")
    sh("depmod")
    open_node()
    expect({"vhost_net"}, loaded())
    unload()
    shutil.move("/tmp/vhx_net.away", path)
    sh("depmod")
    open_node()
    expect({"vhx_net"}, loaded())


STEPS += install_status.STEPS


@step
def uninstall_ok():
    sh("make uninstall")
    expect(set(), loaded())
    expect([False, False], [os.path.exists(path) for path in (CONF, SLOTS_CONF)])
    expect("", sh("dkms status vhx").strip())
    expect("", sh("find /lib/modules /usr/src /usr/local /run -name '*vhx*'").strip())


@step
def open_loads_in_tree_ok():
    make_static_nodes()
    open_node()
    expect({"vhost_net"}, loaded())
    unload()


@step
def install_without_dkms_ok():
    # no second compilation under emulation: what the rig built
    sh(f"make install DKMS= MODULE={os.environ['VHX_KO']}")
    make_static_nodes()
    open_node()
    expect({"vhx_net"}, loaded())
    expect(f"/lib/modules/{KREL}/updates/vhx_net.ko",
           sh("modinfo -n vhx_net").strip())
    sh("make uninstall DKMS=")
    expect("", sh("find /lib/modules /run -name '*vhx*'").strip())


STEPS += install_status.LAST_STEPS


def hide_modules():
    """Leaves modprobe what is loaded and what the steps load."""
    names = NEEDED + " " + sh("cut -d' ' -f1 /proc/modules")
    paths = {line.split()[1] for line in
             sh("modprobe -aD " + " ".join(names.split())).splitlines()
             if line.startswith("insmod")}
    sh("mount -t tmpfs none /mnt")
    sh("cp --parents -t /mnt " + " ".join(paths))
    sh(f"mount --bind /mnt/lib/modules/{KREL}/kernel "
       f"/lib/modules/{KREL}/kernel")
    sh("depmod")


def version():
    return sh("sed -n 's/^PACKAGE_VERSION=\"\\(.*\\)\"/\\1/p' dkms.conf").strip()


def main():
    hide_modules()
    host.modprobe_kvm()
    host.make_bridge()
    return run_steps("install.dkms", STEPS)


if __name__ == "__main__":
    sys.exit(main())
