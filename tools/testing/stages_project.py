# SPDX-License-Identifier: GPL-2.0-only
"""Stages of what the project says of itself."""
import os
import re
import sys

import stages

FIGURE = r"^(engine|library) +(\d+) %"
TOTAL = r"^TOTAL +\d+ +\d+ +(\d+)%"


def stage_coverage():
    """No fewer lines are run than Documentation/testing.rst says."""
    out = stages.built_in("coverage", "tools/testing/ring", "tools/testing/lib",
                          "tools/testing/coverage", "tools/testing/selftests",
                          "tools/vhx-switch", "tools/lib", "drivers/vhost/ring")
    stages.case("coverage.tests_ran_ok", stages.call(f"{stages.HERE}/coverage", out))
    with open(f"{stages.TOP}/Documentation/testing.rst") as file:
        said = dict(re.findall(FIGURE, file.read(), re.M))
    for name in ("engine", "library"):
        with open(f"{out}/{name}.txt") as file:
            found = re.search(TOTAL, file.read(), re.M)
        stages.case(f"coverage.{name}.as_documented_ok",
                    int(said[name]) <= int(found[1]))


def stage_ansible(kernel="6.1"):
    """The role of contrib/ansible, on a machine by itself."""
    stages.case("ansible.lint_ok", stages.call("ansible-lint", "--offline", "-q",
                                               "contrib/ansible"))
    tools = stages.built_in("ansible", "tools/lib", "tools/vhx-switch",
                            "tools/vhx-top", "drivers/vhost/ring", "Makefile",
                            "Documentation/man")
    if not stages.call("make", "-s", "tools", f"OUTPUT={tools}"):
        sys.exit("the tools do not build")
    os.environ["VHX_TOOLS"] = tools
    is_ok, out = stages.vm_run("ansible", "-b", "-t", "2400", kernel, "--",
                               "tools/testing/vm/ansible.py", rename=str)
    stages.case(f"ansible.{kernel}.kernel_log_clean_ok",
                is_ok or stages.is_log_clean(out))
