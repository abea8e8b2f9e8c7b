# SPDX-License-Identifier: GPL-2.0-only
"""What machines start from: initramfs of L1 and of guests, and snapshots."""
import gzip
import lzma
import os
import re
import shutil
import subprocess

import apt
import kernels
import roots
from cache import VMDIR, Failed, digest, made, output, read, say, word
from guest import Guest, Net

# A new one makes all initramfs anew
REVISION = 1

L1_MODULES = ("virtio_pci", "virtio_console", "overlay")
CCW_MODULES = L1_MODULES[1:]        # that bus is in the kernel
GUEST_MODULES = ("virtio_pci", "virtio_mmio", "virtio_console", "virtio_net")
PROGRAMS = ("iperf3", "ethtool")
UNPACK = {
    ".xz": lzma.decompress,
    ".gz": gzip.decompress,
    ".zst": lambda blob: subprocess.run(
        ["zstd", "-qdc"], input=blob, check=True, stdout=subprocess.PIPE).stdout,
    ".ko": bytes,
}


def put_modules(folder, root, modules):
    """Modules with what they depend on, plain; the file "modules" has their
    insmod order."""
    names = []
    for module in modules:
        lines = output("modprobe", "-d", folder, "-S", word(folder, "release"),
                       "--show-depends", module).splitlines()
        for path in (ln.split()[1] for ln in lines if ln[:7] == "insmod "):
            name = re.sub(r"\.ko.*", ".ko", os.path.basename(path))
            if name not in names:
                names.append(name)
                blob = UNPACK[os.path.splitext(path)[1]](read(path))
                with open(os.path.join(root, name), "wb") as file:
                    file.write(blob)
    with open(f"{root}/modules", "w", encoding="utf-8") as file:
        file.writelines(name + "\n" for name in names)


def put_program(name, root):
    """A program and what the dynamic linker maps for it, itself included."""
    program = shutil.which(name)
    shutil.copy2(program, f"{root}/bin")
    for lib in re.findall(r"(/\S+) \(0x", output("ldd", program)):
        os.makedirs(os.path.dirname(root + lib), exist_ok=True)
        shutil.copy2(os.path.realpath(lib), root + lib)


def put_foreign_program(name, root, arch):
    """The same of another architecture, whose dynamic linker cannot be asked: what
    its files name. libc names the linker, which is looked for in the same place."""
    system = roots.program_root(arch.name)
    program = shutil.which(name, path=f"{system}/usr/bin:{system}/usr/sbin")
    if not program:
        raise Failed(f"no {name} in the root {arch.name}: it has no guests")
    shutil.copy2(program, f"{root}/bin")
    todo = [program]
    while todo:
        needed = output("readelf", "-dW", todo.pop())
        for lib in re.findall(r"\(NEEDED\).*\[(\S+)\]", needed):
            if not os.path.exists(f"{root}/lib/{lib}"):
                os.makedirs(f"{root}/lib", exist_ok=True)
                shutil.copy2(f"{system}/usr/lib/{arch.triplet}/{lib}", f"{root}/lib")
                todo.append(f"{root}/lib/{lib}")


def make_initramfs(kernel, init, modules, programs, path):
    is_foreign = kernel.arch.is_foreign
    root = path + ".d"
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "proc", "sys", "dev", "tmp", "root", "lower", "upper"):
        os.makedirs(f"{root}/{name}")
    busybox = f"{roots.program_root(kernel.arch.name)}/bin/busybox" \
        if is_foreign else shutil.which("busybox")
    shutil.copy2(busybox, f"{root}/bin/busybox")
    shutil.copy2(os.path.join(VMDIR, init), f"{root}/init")
    put_modules(kernels.fetched(kernel), root, modules)
    for name in programs:
        if is_foreign:
            put_foreign_program(name, root, kernel.arch)
        else:
            put_program(name, root)
    names = sorted(os.path.relpath(os.path.join(where, name), root)
                   for where, dirs, files in os.walk(root)
                   for name in dirs + files)
    with open(path + ".tmp", "wb") as out:
        subprocess.run(["cpio", "--quiet", "--null", "-o", "-H", "newc",
                        "--owner", "0:0"], input="".join(n + "\0" for n in names).encode(),
                       check=True, cwd=root, stdout=out)
    os.rename(path + ".tmp", path)
    shutil.rmtree(root)


def initramfs(kernel, init, modules, programs=()):
    if not kernel.has_image:
        raise Failed(f"kernel {kernel.name}: it has headers only, and cannot be booted")
    # the root's name has the list of packages, not their versions
    versions = [roots.program_root(kernel.arch.name)] if kernel.arch.is_foreign else \
        [output(name, "--version") for name in programs]
    key = digest(REVISION, modules, read(VMDIR, init), *versions)
    return made(f"{kernels.fetched(kernel)}/{init}-{key}.cpio", make_initramfs, kernel,
                init, modules, programs)


def l1_initramfs(kernel):
    share = ("virtiofs",) if kernel.is_cloud else ("9p", "9pnet_virtio")
    bus = CCW_MODULES if kernel.arch.virtio == "ccw" else L1_MODULES
    return initramfs(kernel, "l1-initramfs", bus + share)


def guest_initramfs(kernel):
    return initramfs(kernel, "l2-initramfs", GUEST_MODULES, PROGRAMS)


def snapshot(kernel):
    """Booting under TCG in TCG takes minutes; here, one level up, seconds."""
    if kernel.arch.is_foreign:
        apt.install(apt.NEEDED_BY_FOREIGN)
    initrd = guest_initramfs(kernel)
    folder = kernels.fetched(kernel)
    key = digest(initrd, read(VMDIR, "guest.py"), read(VMDIR, "arch.py"),
                 output(kernel.arch.qemu, "--version"))
    return made(f"{folder}/snapshot-{key}", make_snapshot, kernel, initrd)


def make_snapshot(kernel, initrd, path):
    say("snapshot of a guest")
    os.environ.update(VHX_GUEST_VMLINUX=f"{kernels.fetched(kernel)}/vmlinux",
                      VHX_GUEST_INITRD=initrd, VHX_GUEST_ARCH=kernel.arch.name)
    Guest([Net("", "52:54:00:77:00:02")], accel="tcg").save(path + ".tmp")
    os.rename(path + ".tmp", path)
