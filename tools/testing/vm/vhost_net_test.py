# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own client of /dev/vhost-net: tools/virtio/vhost_net_test, built from
Debian's package of the source. Kernels before 6.10 have none; it runs on all."""
import os
import shutil

import apt
import source
from cache import digest, made, mark_done, path_of, run, say

# A new one builds it anew
REVISION = 1

SUITES = ("bookworm-backports",)
# what it is made of
PARTS = ("tools/virtio", "tools/include", "drivers/virtio", "include")
# what virtio_ring.c of 6.12 says, and the headers of tools/virtio lack
COMPILER = "CC=gcc-12 '-Ddata_race(x)=(x)' '-DMODULE_DESCRIPTION(x)='"


def program():
    """The path of the program, built if it is missing."""
    key = digest(REVISION, *SUITES, source.PACKAGE, *PARTS, COMPILER)
    return made(path_of("tests", f"vhost_net_test-{key}"),
                make_program) + "/vhost_net_test"


def make_program(folder):
    tmp = folder + ".tmp"
    shutil.rmtree(tmp, ignore_errors=True)
    os.makedirs(tmp)
    with apt.suites_updated(SUITES) as suites:
        wanted = source.packages(suites)
        say(f"vhost_net_test: downloading {wanted[0]}")
        suites.download(wanted, f"{tmp}/debs")
    deb, = os.listdir(f"{tmp}/debs")
    run("dpkg-deb", "-x", f"{tmp}/debs/{deb}", f"{tmp}/debs")
    run("tar", "-C", tmp, "-xJf", f"{tmp}/debs/usr/src/{source.PACKAGE}.tar.xz",
        *(f"{source.PACKAGE}/{part}" for part in PARTS))
    shutil.rmtree(f"{tmp}/debs")
    top = f"{tmp}/{source.PACKAGE}"
    run("make", "-s", "-C", f"{top}/tools/virtio", COMPILER, "vhost_net_test")
    shutil.copy2(f"{top}/tools/virtio/vhost_net_test", tmp)
    shutil.rmtree(top)
    mark_done(tmp)
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(tmp, folder)
