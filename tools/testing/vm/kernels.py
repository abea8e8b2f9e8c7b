# SPDX-License-Identifier: GPL-2.0-only
"""Kernels of the rig: which there are, and Debian's unpacked for use.

A kernel's folder has vmlinux (what QEMU boots), lib/modules, build (for make -C),
release and packages (NAME=VERSION each), and .done once it is whole.
"""
import dataclasses
import glob
import os
import re
import shutil

import apt
import source
import vmlinux
from arch import AMD64, ARM64, S390X, Arch
from cache import (Failed, digest, is_done, lock, mark_done, path_of, read, run,
                   say, word, write)

# A new one fetches all kernels anew: when what fetch leaves there changes
REVISION = 1

# Emulated, a second in the kernel takes long: what is slow is not yet stuck. A
# soft lockup is reported after twice watchdog_thresh, if RCU does not report a
# stall before: that counts as a sign of life. For hard lockups there is no NMI,
# and in a debug kernel the other CPU looks.
STOCK = ("watchdog_thresh=20 nmi_watchdog=0 "
         "rcupdate.rcu_cpu_stall_timeout=60")
DEBUG = "watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=180"


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One row of the table."""
    name: str
    suites: tuple                   # the newest of these
    flavour: str = ""               # "rt-", "cloud-": in the packages' names
    config: tuple = ()              # built here of these files; see source.py
    root: str = "host"              # that its kbuild programs run in
    make_args: tuple = ("C=1",)     # for our module
    words: str = STOCK              # of its command line
    mem: str = "4G"                 # of its machine
    slow: int = 1                   # time limits are that many times as long
    arch: Arch = AMD64
    has_image: bool = True          # else it is there to be compiled for only

    @property
    def is_cloud(self):
        """It has neither 9p nor /dev/port: it gets its root by virtiofs."""
        return self.flavour == "cloud-"

    @property
    def has_exit(self):
        """It can end its machine by a port; else that is switched off."""
        return not self.is_cloud and not self.arch.is_foreign

    @property
    def folder(self):
        """Its place; relocated files contain the path, so that is in the key."""
        if self.config:
            key = source.key(self)
        else:
            what = () if self.has_image else ("headers",)
            key = digest(REVISION, *self.suites, *what, path_of())
        return path_of("kernels", f"{self.name}-{key}")


BOOKWORM = ("bookworm", "bookworm-security")
BACKPORTS = ("bookworm-backports",)
TRIXIE = ("trixie", "trixie-security")
WATCHED = {
    "suites": BACKPORTS,
    "make_args": ("CC=gcc-12", "KCFLAGS=-g"),
    "words": DEBUG,
    "mem": "6G",
    "slow": 6,
}
# Of each series amd64 and arm64, plain, realtime and cloud: suites, roots
SERIES = {
    "6.1": (BOOKWORM, "host", "cross"),
    "6.12": (BACKPORTS, "host", "cross"),
    "6.12-trixie": (TRIXIE, "trixie", "cross"),
    "7.2": (("forky",), "forky", "forky"),
    "7.3": (("trixie-backports",), "trixie", "cross"),
}


def header_kernels():
    """Rows for packages of headers."""
    for series, (suites, *roots) in SERIES.items():
        for arch, root in zip((AMD64, ARM64), roots):
            for flavour in ("", "rt-", "cloud-"):
                name = "-".join(filter(None, [
                    series, flavour[:-1], arch.name if arch.is_foreign else ""]))
                yield Kernel(name, suites, flavour, root=root, make_args=(),
                             arch=arch, has_image=False)


KERNELS = {kernel.name: kernel for kernel in (
    *header_kernels(),              # what follows has more, where both have it
    Kernel("6.1", BOOKWORM),
    Kernel("6.12", BACKPORTS),
    Kernel("7.3", ("trixie-backports",), root="trixie"),
    Kernel("6.1-rt", BOOKWORM, "rt-"),
    Kernel("6.1-cloud", BOOKWORM, "cloud-"),
    Kernel("6.12-rt", BACKPORTS, "rt-"),
    Kernel("6.12-cloud", BACKPORTS, "cloud-"),
    *(Kernel(f"{name}-{a.name}", suites, root="cross", make_args=(), arch=a,
             words="", slow=3)
      for name, suites in (("6.1", BOOKWORM), ("6.12", BACKPORTS))
      for a in (ARM64, S390X)),
    Kernel("debug", config=("debug.config", "debug.kasan.config"), **WATCHED),
    Kernel("kcsan", config=("debug.config", "debug.kcsan.config"), **WATCHED),
)}


def find(name):
    if name not in KERNELS:
        raise Failed(f"no kernel '{name}': one of {' '.join(KERNELS)}")
    return KERNELS[name]


def fetched(kernel, update=False):
    """The kernel's folder, made if it is missing."""
    folder = kernel.folder
    if update or not is_done(folder):
        with lock(f"fetch-{os.path.basename(folder)}"):
            if update or not is_done(folder):
                fetch(kernel, folder)
    return folder


def fetch(kernel, folder):
    with apt.suites_updated(kernel.suites, arch=kernel.arch.name) as suites:
        wanted = source.packages(suites) if kernel.config else \
            closure(suites, kernel)
        has = os.path.exists(f"{folder}/packages") and \
            word(folder, "packages").split()
        if has == wanted and is_done(folder):
            return
        if not kernel.config:
            unpack_debs(kernel, suites, wanted, folder)
        elif has != wanted:
            source.unpack(kernel, suites, wanted, folder)
    if kernel.config:
        source.build(kernel, folder)
    say(f"kernel {kernel.name}: {word(folder, 'release')} is in {folder}")


def closure(suites, kernel):
    """The packages of one kernel: from the meta packages down, by name, since
    the split differs (6.x: image, headers, kbuild; 7.x: binary, modules, base).
    What a build runs is this machine's, also of a kernel for another one."""
    kind = f"-{kernel.arch.name}"
    kinds = ["image", "headers"] if kernel.has_image else ["headers"]
    todo = [f"linux-{what}-{kernel.flavour}{kind[1:]}" for what in kinds]
    found = {}
    while todo:
        pkg = todo.pop(0)
        if pkg in found:
            continue
        name = pkg + kernel.arch.suffix if pkg.endswith(kind) else pkg
        version, depends = suites.newest(name)
        found[pkg] = f"{name}={version}"
        todo += [dep for dep in depends if re.match(
            r"linux-(image|binary|modules|headers|kbuild|base-[0-9])", dep)
            and not dep.endswith("-unsigned")]
    wanted = [what for pkg, what in found.items()
              if not pkg.endswith(kind) or re.search("-[0-9]", pkg)]
    if len(wanted) < 2 + len(kinds):
        raise Failed(f"{suites.suites[0]}: found only: {' '.join(wanted)}")
    return wanted


def unpack_debs(kernel, suites, packages, folder):
    tmp = folder + ".tmp"
    shutil.rmtree(tmp, ignore_errors=True)
    os.makedirs(tmp)
    say(f"kernel {kernel.name}: downloading {' '.join(packages)}")
    suites.download(packages, f"{tmp}/debs")
    for deb in glob.glob(f"{tmp}/debs/*.deb"):
        run("dpkg-deb", "-x", deb, tmp)
    shutil.rmtree(f"{tmp}/debs")
    shutil.rmtree(f"{tmp}/usr/share/doc")
    if os.path.isdir(f"{tmp}/usr/lib/modules"):
        os.makedirs(f"{tmp}/lib", exist_ok=True)
        os.rename(f"{tmp}/usr/lib/modules", f"{tmp}/lib/modules")
    release, = os.listdir(f"{tmp}/lib/modules")
    if kernel.has_image:
        put_image(kernel, tmp, release)
    write(f"{tmp}/release", release + "\n")
    write(f"{tmp}/packages", "\n".join(packages) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(tmp, folder)
    put_links(folder, release)
    mark_done(folder)


def put_image(kernel, folder, release):
    image = f"{folder}/boot/vmlinuz-{release}"
    if not os.path.exists(image):
        image = f"{folder}/lib/modules/{release}/vmlinuz"
    if kernel.arch.is_foreign:
        shutil.copy2(image, f"{folder}/vmlinux")
    else:
        vmlinux.extract(image, f"{folder}/vmlinux")
    run("depmod", "-b", folder, release)


def put_links(folder, release):
    """Debian's header trees name each other by absolute paths: to where they
    lie.  Only once they are in their final place."""
    headers = f"/usr/src/linux-headers-{release}"
    shared, = glob.glob(f"{folder}/usr/src/linux-headers-*-common*")
    link(headers, f"{folder}/lib/modules/{release}/build")
    link(shared[len(folder):], f"{folder}/lib/modules/{release}/source")
    for base in (f"{folder}/usr", f"{folder}/lib"):
        for where, dirs, files in os.walk(base):
            for path in (os.path.join(where, n) for n in dirs + files):
                if os.path.islink(path) and os.readlink(path)[:5] == "/usr/":
                    link(folder + os.readlink(path), path)
    for where, dirs, files in os.walk(f"{folder}/usr/src"):
        dirs[:] = [d for d in dirs if d not in ("include", "arch")]
        for name in {"Makefile", ".kernelvariables"}.intersection(files):
            relocate(os.path.join(where, name), folder)
    link(folder + headers, f"{folder}/build")


def relocate(path, folder):
    old = read(path)
    new = re.sub(rb"(^|[^\w./-])/usr/(src|lib)/linux-",
                 lambda m: m[1] + f"{folder}/usr/".encode() + m[2] + b"/linux-",
                 old, flags=re.M)
    if new != old:
        with open(path, "wb") as file:
            file.write(new)


def link(target, path):
    if os.path.lexists(path):
        os.remove(path)
    os.symlink(target, path)
