# SPDX-License-Identifier: GPL-2.0-only
"""Headers for plugins of QEMU's TCG. No package of Debian has them built, so they
come out of one of the source, of a suite whose QEMU is among the roots."""
import glob
import os
import shutil

import apt
from cache import digest, made, mark_done, path_of, run, say

# A new one fetches the headers anew
REVISION = 1

# A QEMU takes plugins for its own interface and few others: this is its root
EMULATOR = "qemu-10.0"
SUITE = "trixie"
SOURCE = "qemu"
# qemu-plugin.h has types of glib's in its prototypes
TYPES = "libgio-2.0-dev"


def headers():
    """The folder, made if it is missing: for -I."""
    key = digest(REVISION, SUITE, SOURCE, TYPES)
    return made(path_of(f"plugin-{key}"), make_headers)


def make_headers(folder):
    tmp = folder + ".tmp"
    shutil.rmtree(tmp, ignore_errors=True)
    os.makedirs(f"{tmp}/source")
    say(f"downloading {SOURCE} (source) and {TYPES} of {SUITE}")
    with apt.suites_updated((SUITE,), has_sources=True) as suites:
        suites.download_source(SOURCE, f"{tmp}/source")
        suites.download([TYPES], f"{tmp}/debs")
    archive, = glob.glob(f"{tmp}/source/*.orig.tar.*")
    run("tar", "-C", tmp, "-xf", archive, "--wildcards", "--strip-components=3",
        "*/include/*/qemu-plugin.h")
    deb, = glob.glob(f"{tmp}/debs/*.deb")
    run("dpkg-deb", "-x", deb, f"{tmp}/debs")
    os.rename(f"{tmp}/debs/usr/include/glib-2.0", f"{tmp}/glib")
    config, = glob.glob(f"{tmp}/debs/usr/lib/*/glib-2.0/include/glibconfig.h")
    os.rename(config, f"{tmp}/glib/glibconfig.h")
    for name in ("source", "debs"):
        shutil.rmtree(f"{tmp}/{name}")
    mark_done(tmp)
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(tmp, folder)
