# SPDX-License-Identifier: GPL-2.0-only
"""Cases of a test that prints KTAP. A case is a function that gets a folder of its
own, and raises what is wrong."""
import tempfile
import traceback

CASES = []


class Failed(Exception):
    """What is not as it should be."""


class Skip(Exception):
    """Why a case could not be run."""


def case(func):
    CASES.append(func)
    return func


def expect(want, got):
    if want != got:
        raise Failed(f"expected {want}, got {got}")


def read(path):
    with open(path) as file:
        return file.read()


def run_cases(area, make, names):
    """Each, or those of these names, with what make() makes of its folder. Return:
    whether one failed"""
    cases = [func for func in CASES if not names or func.__name__ in names]
    print(f"KTAP version 1\n1..{len(cases)}", flush=True)
    failed = 0
    for number, func in enumerate(cases, 1):
        result, reason = "ok", ""
        with tempfile.TemporaryDirectory() as folder:
            try:
                func(make(folder))
            except Skip as why:
                reason = f" # SKIP {why}"
            except Exception:   # pylint: disable=broad-except
                result = "not ok"
                failed += 1
                print("# " + traceback.format_exc().strip().replace("\n", "\n# "))
        print(f"{result} {number} {area}.{func.__name__}{reason}", flush=True)
    return bool(failed)
