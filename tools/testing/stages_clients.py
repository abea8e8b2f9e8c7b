# SPDX-License-Identifier: GPL-2.0-only
"""Stages of clients that nobody here wrote."""
import re

import stages


def stage_libvirt(kernel):
    """A domain of libvirt on both nodes, and what virsh does to it."""
    _, out = stages.vm_run(
        f"libvirt-{kernel}", "-b", "-g", stages.GUEST, "-r", "libvirt", "-t",
        "2400", kernel, "--", "tools/testing/vm/domains.py",
        rename=renamed("libvirt", kernel))
    stages.case(f"libvirt.{kernel}.kernel_log_clean_ok",
                stages.is_log_clean(out))


def renamed(area, kernel):
    """Names of results with the kernel in them."""
    return lambda line: re.sub(rf"^((?:not )?ok [0-9]* {area})", rf"\1.{kernel}",
                               line)
