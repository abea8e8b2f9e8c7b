# SPDX-License-Identifier: GPL-2.0-only
"""The module, built for a kernel from a copy of the sources."""
import glob
import os
import re
import shutil
import subprocess
import sys

import kernels
import roots
from cache import (TOP, Failed, digest, is_done, lock, mark_done, path_of, read,
                   say)

# A new one builds everything anew
REVISION = 1

PARTS = ("Kbuild", "Makefile", "dkms.conf", "include", "drivers/vhost")
# What a build in the tree leaves there
MADE = re.compile(r"\.(o|ko|mod|mod\.c|tmp)$|^\..*\.cmd$|^Module\.symvers$|"
                  r"^modules\.order$|^vhx-config\.h$")


def sources():
    """What the module is made of, by paths below the checkout."""
    for part in PARTS:
        if os.path.isfile(f"{TOP}/{part}"):
            yield part
        for where, dirs, files in os.walk(f"{TOP}/{part}"):
            dirs.sort()
            for name in sorted(files):
                if not MADE.search(name):
                    yield os.path.relpath(os.path.join(where, name), TOP)


def built(kernel, warnings_pass=False, args=()):
    """The path of vhx_net.ko."""
    if not os.path.exists(f"{TOP}/Kbuild"):
        raise Failed(f"no Kbuild at {TOP}")
    folder = kernels.fetched(kernel)
    argv = roots.inside(kernel.root, "make", "-C", f"{folder}/build")
    names = list(sources())
    key = digest(REVISION, folder, warnings_pass, kernel.make_args, args,
                 read(folder, "packages"), names,
                 *(read(TOP, name) for name in names))
    copy = path_of("build", f"{kernel.name}-{key}")
    with lock(f"build-{os.path.basename(copy)}"):
        if not is_done(copy):
            shutil.rmtree(copy, ignore_errors=True)
            for name in names:
                os.makedirs(os.path.dirname(f"{copy}/{name}"), exist_ok=True)
                shutil.copy2(f"{TOP}/{name}", f"{copy}/{name}")
            argv += [f"M={copy}", "W=1", f"-j{os.cpu_count()}", *kernel.arch.make_args,
                     *checked(kernel, folder), *args, "modules"]
            build(argv, folder, copy, warnings_pass)
    return f"{copy}/vhx_net.ko"


def checked(kernel, folder):
    """Kernels that probe sparse first need more than any release of it knows."""
    for path in glob.glob(f"{folder}/usr/src/*-common*/Makefile"):
        if b"checker-valid" in read(path):
            say("no sparse that understands these headers: not run")
            return [arg for arg in kernel.make_args if arg != "C=1"]
    return kernel.make_args


def build(argv, folder, copy, warnings_pass):
    with open(f"{copy}/build.log", "w", encoding="utf-8") as log:
        status = subprocess.run(argv, stdout=log, stderr=log,
                                check=False).returncode
    text = read(copy, "build.log").decode()
    sys.stderr.write(text)
    if status:
        raise Failed("the build failed: see above")
    # ours only: old sparse stumbles over the headers of new kernels
    ours = re.compile(rf"({re.escape(copy)}/|\./|drivers/vhost/|include/|ERROR"
                      "|WARNING)")
    found = [line for line in text.splitlines()
             if re.search("(warning|error):", line, re.I) and ours.match(line)
             and folder + "/" not in line]
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    if found and not warnings_pass:
        raise Failed("warnings in our files: see above")
    if not os.path.exists(f"{copy}/vhx_net.ko"):
        raise Failed("no vhx_net.ko came out")
    mark_done(copy)
