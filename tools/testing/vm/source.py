# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that are built here, from Debian's package of the source.

The build takes half an hour on two CPUs; one that was broken off goes on.
"""
import os
import shutil
import subprocess
import time

import apt
from cache import (VMDIR, Failed, digest, mark_done, read, run, say, word, write)

PACKAGE = "linux-source-6.12"
COMPILER = "CC=gcc-12"
# What the build of a module needs of the source beside its topmost files
KEPT = ("arch", "include", "scripts", "tools")


def wanted_config(kernel):
    return b"".join(read(VMDIR, name) for name in kernel.config)


def key(kernel):
    return digest(f"{kernel.suites[0]} {PACKAGE}", wanted_config(kernel))


def packages(suites):
    return [f"{PACKAGE}={suites.newest(PACKAGE)[0]}"]


def unpack(kernel, suites, wanted, folder):
    say(f"kernel {kernel.name}: downloading {wanted[0]}")
    shutil.rmtree(folder, ignore_errors=True)
    suites.download(wanted, f"{folder}/debs")
    deb, = os.listdir(f"{folder}/debs")
    run("dpkg-deb", "-x", f"{folder}/debs/{deb}", f"{folder}/debs")
    run("tar", "-C", f"{folder}/debs", "-xJf",
        f"{folder}/debs/usr/src/{PACKAGE}.tar.xz")
    os.rename(f"{folder}/debs/{PACKAGE}", f"{folder}/src")
    shutil.rmtree(f"{folder}/debs")
    write(f"{folder}/packages", wanted[0] + "\n")


def build(kernel, folder):
    """From the unpacked source to a folder that a run takes."""
    apt.install(apt.NEEDED_BY_KERNEL)
    out = f"{folder}/build"
    if not os.path.exists(f"{out}/.config"):
        configure(kernel, folder)
    check_config(folder)
    make_kernel(kernel, folder)
    release = word(out, "include/config/kernel.release")
    run("make", "-s", "-C", out, f"INSTALL_MOD_PATH={folder}",
        "INSTALL_MOD_STRIP=1", "modules_install")
    modules = f"{folder}/lib/modules/{release}"
    for name in ("build", "source"):
        if os.path.lexists(f"{modules}/{name}"):
            os.remove(f"{modules}/{name}")
    os.symlink(out, f"{modules}/build")
    run("depmod", "-b", folder, release)
    write(f"{folder}/release", release + "\n")
    shutil.copy2(f"{out}/vmlinux", f"{folder}/vmlinux")
    prune(folder)
    mark_done(folder)


def configure(kernel, folder):
    wanted = f"{folder}/wanted.config"
    with open(wanted, "wb") as file:
        file.write(wanted_config(kernel))
    os.makedirs(f"{folder}/build", exist_ok=True)
    run("make", "-s", "-C", f"{folder}/src", f"O={folder}/build",
        f"KCONFIG_ALLCONFIG={wanted}", COMPILER, "allnoconfig")


def check_config(folder):
    """Each line must have taken hold: Kconfig drops what depends on others."""
    has = set(read(folder, "build/.config").decode().splitlines())
    names = {line.split("=")[0] for line in has}
    lost = []
    for line in read(folder, "wanted.config").decode().splitlines():
        name, _, value = line.partition("=")
        if name.startswith("CONFIG_") and (
                name in names if value == "n" else line not in has):
            lost.append(line)
    if lost:
        raise Failed("not in the kernel's configuration: " + " ".join(lost))


def waited(proc, secs):
    """Its status, or None if it goes on."""
    try:
        return proc.wait(secs)
    except subprocess.TimeoutExpired:
        return None


def make_kernel(kernel, folder):
    """Half an hour: a word every 30 s of how far it is."""
    begun = time.monotonic()
    say(f"kernel {kernel.name}: building, which takes half an hour")
    with open(f"{folder}/build.log", "w", encoding="utf-8") as log, \
            subprocess.Popen(["make", "-C", f"{folder}/build", COMPILER,
                              f"-j{os.cpu_count()}", "vmlinux", "modules"],
                             stdout=log, stderr=log) as proc:
        try:
            while (status := waited(proc, 30)) is None:
                steps = read(folder, "build.log").decode().split("\n")
                say(f"kernel {kernel.name}: {time.monotonic() - begun:.0f} s, "
                    f"{len(steps)} steps: {' '.join(steps[-2:]).strip()}")
        finally:
            proc.terminate()
    if status:
        run("tail", "-n", "30", f"{folder}/build.log")
        raise Failed(f"kernel {kernel.name}: see {folder}/build.log")


def prune(folder):
    """Leave what modules are built with."""
    for name in os.listdir(f"{folder}/src"):
        path = f"{folder}/src/{name}"
        if os.path.isdir(path) and name not in KEPT:
            shutil.rmtree(path)
    for where, dirs, files in os.walk(f"{folder}/build"):
        if where == f"{folder}/build":
            dirs[:] = [d for d in dirs if d not in ("scripts", "tools", "include")]
        for name in files:
            if name.endswith((".o", ".a", ".ko", ".cmd", ".mod", ".mod.c")) or \
                    name == "vmlinux" or name.startswith(".tmp_vmlinux"):
                os.remove(os.path.join(where, name))
