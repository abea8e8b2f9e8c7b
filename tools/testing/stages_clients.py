# SPDX-License-Identifier: GPL-2.0-only
"""Stages of clients that nobody here wrote."""
import os
import re
import subprocess
import sys

import stages


def build_crate_tests():
    script = "tools/testing/vm/rust-tests-build.sh"
    path = stages.built_in("crate-tests", script)
    program = f"{path}/vhost-tests"
    if not os.path.exists(program) and not stages.call(
            "unshare", "-m", script,
            stages.said(stages.VM, "root", "rust-trixie"), path):
        sys.exit("the tests of the vhost crate do not build")
    return program


def stage_libvirt(kernel):
    """A domain of libvirt on both nodes, and what virsh does to it."""
    _, out = stages.vm_run(
        f"libvirt-{kernel}", "-b", "-g", stages.GUEST, "-r", "libvirt", "-t",
        "2400", kernel, "--", "tools/testing/vm/domains.py",
        rename=renamed("libvirt", kernel))
    stages.case(f"libvirt.{kernel}.kernel_log_clean_ok",
                stages.is_log_clean(out))


def stage_netboot(kernel):
    """Firmware loads over vhx-switch, here, and over the node."""
    script = "tools/testing/vm/netboot.py"
    os.environ.update(PYTHONDONTWRITEBYTECODE="1", VHX_CACHE=stages.CACHE,
                      VHX_ROOT_netboot=stages.said(stages.VM, "root", "netboot"))
    switch = stages.build_switch() + "/vhx-switch"
    sys.stdout.flush()
    subprocess.run(["timeout", "1500", "unshare", "-n", script, "--switch", switch],
                   check=False)
    _, out = stages.vm_run(
        f"netboot-{kernel}", "-b", "-r", "netboot", "-t", "1800", kernel, "--",
        script, "--accel", "kvm", rename=renamed("netboot", kernel))
    stages.case(f"netboot.{kernel}.kernel_log_clean_ok",
                stages.is_log_clean(out))


def stage_vhost_net_test(kernel):
    """Tests of the kernel and of a crate, on in-tree and on vhx_net."""
    _, out = stages.vm_run(
        f"vhost_net_test-{kernel}", "-b", kernel, "--",
        "tools/testing/vm/net_test.py",
        stages.said(stages.VM, "vhost_net_test"), build_crate_tests(),
        rename=renamed("vhost_net_test", kernel))
    stages.case(f"vhost_net_test.{kernel}.kernel_log_clean_ok",
                stages.is_log_clean(out))


def renamed(area, kernel):
    """Names of results with the kernel in them."""
    return lambda line: re.sub(rf"^((?:not )?ok [0-9]* {area})", rf"\1.{kernel}",
                               line)
