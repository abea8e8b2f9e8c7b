#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""mkguest.py ROOT PROGRAM...: copy programs and their libraries below ROOT."""
import os
import re
import shutil
import subprocess
import sys


def libraries(program):
    """What the dynamic linker maps for it, the linker itself included."""
    out = subprocess.run(["ldd", program], check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    return re.findall(r"(/\S+) \(0x", out)


def main(root, *programs):
    for program in programs:
        shutil.copy2(program, os.path.join(root, "bin"))
        for lib in libraries(program):
            dest = root + lib
            os.makedirs(os.path.dirname(dest), exist_ok=True)
            shutil.copy2(os.path.realpath(lib), dest)


if __name__ == "__main__":
    main(*sys.argv[1:])
