# SPDX-License-Identifier: GPL-2.0-only
"""The stage of Debian's packages."""
import os

import stages

BEFORE = "0.1.9"        # in the order of versions before this one, not one there was


def packages():
    """Folders of this version and of one that is the same by another number."""
    paths = "debian", "scripts/build-deb", "Makefile", "Kbuild", "dkms.conf", \
        "drivers", "etc", "include", "tools/lib", "tools/vhx-switch", \
        "tools/vhx-top", "tools/trace", "Documentation/man"
    path = stages.built_in("debs", *paths)
    for name, version in (("now", []), ("before", [BEFORE])):
        if not os.path.exists(f"{path}/{name}/.done"):
            is_ok = stages.call(f"{stages.TOP}/scripts/build-deb",
                                f"{path}/{name}", *version)
            stages.case(f"deb.{name}.built_and_lintian_clean_ok", is_ok)
            if not is_ok:
                return None
            with open(f"{path}/{name}/.done", "w"):
                pass
    return path


def stage_deb(kernel="6.1", *steps):
    path = packages()
    if not path:
        return
    os.environ.update(VHX_DEBS=path, VHX_CCACHE=f"{stages.OUT}/ccache")
    stages.case("deb.chroot.installed_and_purged_ok", stages.call(
        f"{stages.HERE}/vm/deb-outside.sh", kernel, os.environ["VHX_CCACHE"],
        f"{path}/before", f"{path}/now"))
    is_ok, _ = stages.vm_run(
        "deb", "-S", "debian-12", "-g", stages.GUEST, "-t", "2400", kernel, "--",
        "tools/testing/vm/deb.py", *steps, rename=str)
    stages.case("deb.kernel_log_clean_ok", is_ok)


def stage_rpm(kernel="6.12"):
    """By Debian's rpmbuild: nothing is installed."""
    stages.case("rpm.built_ok", stages.call(f"{stages.HERE}/vm/rpm-outside.sh",
                                            kernel, f"{stages.OUT}/rpm"))
