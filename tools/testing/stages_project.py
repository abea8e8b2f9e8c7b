# SPDX-License-Identifier: GPL-2.0-only
"""Stages of what the project says of itself."""
import re

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
