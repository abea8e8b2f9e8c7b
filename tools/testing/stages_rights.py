# SPDX-License-Identifier: GPL-2.0-only
"""Stages of what an installation adds beside programs: units, completion, rights."""
import os
import re
import subprocess
import sys
import tempfile

import stages


def build_installed():
    """What `make install-tools` puts below a root of its own."""
    path = stages.built_in("installed", "tools/vhx-switch", "tools/vhx-top",
                           "tools/lib", "tools/completion", "drivers/vhost/ring",
                           "Documentation/man", "Makefile")
    if not stages.call("make", "-s", stages.JOBS, "install-tools",
                       f"OUTPUT={path}/out", f"DESTDIR={path}/root",
                       stages.WARNINGS):
        sys.exit("install-tools does not install")
    return path


def verify_units(path):
    """With a unit's program where it says that it is."""
    with tempfile.TemporaryDirectory() as tmp:
        is_made = stages.call("make", "-s", "install-tools", f"OUTPUT={path}/out",
                              f"PREFIX={tmp}")
        units = f"{tmp}/lib/systemd/system"
        for name in sorted(os.listdir(units)):
            stages.case(f"rights.unit.{name.replace('.', '_')}_verify_ok",
                        is_made and stages.call(
                            "systemd-analyze", "verify", "--man=no",
                            f"{units}/{name}"))


def stage_rights(kernel=""):
    """On this machine itself; with a kernel, by udevd, systemd and AppArmor there."""
    path = build_installed()
    if not kernel:
        verify_units(path)
        out = f"{path}/out"
        sys.stdout.flush()
        subprocess.run(["timeout", "120", "unshare", "-m",
                        "tools/testing/switch/service.py", f"{out}/vhx-switch"],
                       check=False)
        subprocess.run(["timeout", "300", "tools/testing/completion_test.py", out],
                       check=False)
        return
    os.environ["VHX_INSTALLED"] = f"{path}/root"
    is_ok, out = stages.vm_run(
        f"rights-{kernel}", "-b", "-g", stages.GUEST, "-r", "system", "-x",
        "apparmor=1 security=apparmor", "-t", "900", kernel, "--",
        "tools/testing/vm/rights.py", stages.build_pin(),
        rename=lambda line: re.sub(r"^((?:not )?ok [0-9]* rights)",
                                   rf"\1.{kernel}", line))
    stages.case(f"rights.{kernel}.kernel_log_clean_ok",
                is_ok or stages.is_log_clean(out))
