# SPDX-License-Identifier: GPL-2.0-only
"""Stages that install vhx as a user does."""
import os
import shutil

import stages


def stage_install(kernel="6.1"):
    installed = os.environ["VHX_INSTALLED"] = f"{stages.OUT}/installed"
    stages.case("install.make_install_ok", stages.call(
        f"{stages.HERE}/vm/install-outside.sh", kernel, installed))
    os.environ["VHX_STATUS"] = f"{stages.build_top()}/vhx-status"
    is_ok, _ = stages.vm_run(
        "install", "-b", "-g", stages.GUEST, "-t", "1200", kernel, "--",
        "tools/testing/vm/install.py", rename=str)
    shutil.rmtree(installed, ignore_errors=True)
    stages.case("install.kernel_log_clean_ok", is_ok)
