# SPDX-License-Identifier: GPL-2.0-only
"""Roots: of trixie, to build in, and of programs from other suites."""
import os
import shutil

import apt
from cache import CACHE, TOP, Failed, digest, made, mark_done, path_of, run, say

# A new one makes all roots anew
REVISION = 1

# What kbuild programs run in: suite, packages, by Kernel.root
BUILDERS = {
    "trixie": ("trixie", "gcc,make,kmod,sparse,pahole,bc,libc6-dev,libelf-dev"),
    # gcc's cross compilers cannot be where gcc-multilib is
    "cross": ("trixie", "gcc,make,kmod,pahole,bc,libc6-dev,libelf-dev,perl,python3,"
              "gcc-12-aarch64-linux-gnu,gcc-14-aarch64-linux-gnu,"
              "gcc-12-s390x-linux-gnu,gcc-14-s390x-linux-gnu,"
              "libc6-dev-arm64-cross,libc6-dev-s390x-cross"),
    "forky": ("forky", "gcc,make,kmod,pahole,bc,libc6-dev,libelf-dev,perl,python3,"
              "gcc-aarch64-linux-gnu,libc6-dev-arm64-cross"),
}
# A machine's own userland, where this machine's programs do not run
USERLAND = ("base-files,bash,busybox-static,coreutils,dash,ethtool,grep,hostname,iproute2,"
            "kmod,libc-bin,mount,procps,python3,sed,util-linux")
# Programs for guests.py from other suites, or that would start services where
# they are installed: each in a root of its own.  name: suite, packages
PROGRAMS = {
    "qemu-10.0": ("trixie", "qemu-system-x86"),
    "qemu-11.1": ("trixie-backports", "qemu-system-x86"),
    "ovs": ("bookworm", "openvswitch-switch"),
    "ovs-dpdk": ("bookworm",
                 "openvswitch-switch-dpdk,librte-mempool-ring23"),
    "dpdk": ("bookworm",
             "dpdk-dev,librte-net-virtio23,librte-mempool-ring23"),
    "trace-bookworm": ("bookworm", "bpftrace,dash,linux-perf,trace-cmd"),
    "trace-trixie": ("trixie", "bpftrace,dash,linux-perf,trace-cmd"),
    "prometheus": ("bookworm", "prometheus"),
    "libvirt": ("bookworm", "libvirt-daemon,libvirt-daemon-driver-qemu,"
                "libvirt-clients,qemu-system-x86,dash,dnsmasq-base,"
                "iproute2"),
    "system": ("bookworm", "udev,coreutils,apparmor,libvirt-daemon-system"),
    "netboot": ("bookworm", "dnsmasq-base,ipxe,ovmf,u-boot-qemu"),
    "rust-trixie": ("trixie", "cargo,gcc,libc6-dev,librust-vhost-dev,"
                    "librust-serial-test-dev,librust-tempfile-dev"),
    # with what guests need
    "arm64": ("bookworm", f"{USERLAND},iperf3,iputils-ping,qemu-system-arm", "arm64"),
    "s390x": ("bookworm", USERLAND, "s390x"),
}
# Installed, with the scripts of their packages: to build packages in, and a small
# system that boots by systemd, with what vhx's packages ask for
INSTALLED = {
    "build-deb": ("bookworm", "build-essential,debhelper,dh-dkms,fakeroot,"
                  "gnuplot-nox,libfuse3-dev,libjson-c-dev,libncurses-dev,lintian,"
                  "linux-kbuild-6.1,mandoc,pkg-config,python3-sphinx"),
    "build-rpm": ("bookworm", "build-essential,kmod,libelf1,libfuse3-dev,"
                  "libjson-c-dev,libncurses-dev,pahole,pkg-config,rpm"),
    "debian-12": ("bookworm", "ccache,dbus,dkms,gcc-12,iproute2,iputils-ping,kmod,"
                  "libfuse3-3,libjs-sphinxdoc,libjson-c5,libncursesw6,libelf1,"
                  "procps,python3-minimal,python3,qemu-system-x86,systemd-sysv,udev"),
}
# The hooks of mmdebstrap get the root as $1
NO_PAPERS = '--customize-hook=rm -rf "$1"/var/cache/apt "$1"/usr/share/doc'
NO_LISTS = '--customize-hook=rm -rf "$1"/var/cache/apt/*.bin "$1"/var/lib/apt/lists/*'
# What scripts of packages make as a rule
FOLDERS = """--setup-hook=cd "$1" && mkdir mnt && for dir in bin sbin lib lib64; do
	mkdir -p usr/$dir && ln -sfn usr/$dir $dir || exit; done"""
# Cache and checkout are bound at their own paths, which hold on both sides
ENTER = """
for path in "$CACHE" "$TOP"; do
	mkdir -p "$ROOT$path"
	mount --bind "$path" "$ROOT$path"
done
mount -t proc proc "$ROOT/proc"
mount --bind /dev "$ROOT/dev"
exec chroot "$ROOT" "$@"
"""


def build_root(name="trixie"):
    """For kernels whose kbuild programs or compilers are not this machine's."""
    suite, packages = BUILDERS[name]
    key = digest(REVISION, packages)
    return made(path_of("roots", f"{name}-{key}"), make_build_root, suite, packages)


def make_build_root(suite, packages, folder):
    say(f"making a build root of {suite}")
    debootstrap(folder, suite, "--variant=apt", f"--include={packages}", NO_PAPERS)


def program_root(name):
    if name in INSTALLED:
        key = digest(REVISION, *INSTALLED[name])
        return made(path_of("roots", f"{name}-{key}"), make_installed_root,
                    *INSTALLED[name])
    if name not in PROGRAMS:
        raise Failed(f"no root '{name}': one of "
                     f"{' '.join([*PROGRAMS, *INSTALLED])}")
    key = digest(REVISION, *PROGRAMS[name])
    return made(path_of("roots", f"{name}-{key}"), make_program_root,
                *PROGRAMS[name])


def make_program_root(suite, packages, *more):
    """Unpacked, not installed: no script of a package runs, no service starts."""
    *archs, folder = more
    say(f"unpacking {packages} of {suite}")
    debootstrap(folder, suite, "--variant=extract", f"--include={packages}",
                *(f"--architectures={arch}" for arch in archs),
                f'--aptopt=APT::Default-Release "{suite}"', FOLDERS)


def make_installed_root(suite, packages, folder):
    say(f"installing {packages} of {suite}")
    debootstrap(folder, suite, "--variant=apt", f"--include={packages}", NO_LISTS)


def debootstrap(folder, suite, *options):
    base = suite.removesuffix("-backports")
    tmp = folder + ".tmp"
    for path in (folder, tmp):
        shutil.rmtree(path, ignore_errors=True)
    os.makedirs(tmp)
    run("mmdebstrap", "--quiet", "--mode=root", *options, base, tmp,
        *map(apt.deb_line, dict.fromkeys([base, suite])))
    mark_done(tmp)
    os.rename(tmp, folder)


def qemu(name):
    """Words that run the QEMU of a root from outside, by that root's libraries."""
    root = program_root(name)
    return [f"{root}/lib64/ld-linux-x86-64.so.2", "--library-path",
            f"{root}/usr/lib/x86_64-linux-gnu",
            f"{root}/usr/bin/qemu-system-x86_64", "-L",
            f"{root}/usr/share/qemu", "-L", f"{root}/usr/share/seabios"]


def inside(root, *argv):
    """Words that run a command on this machine ("host") or in a build root."""
    if root == "host":
        return list(argv)
    return ["env", f"ROOT={build_root(root)}", f"CACHE={CACHE}", f"TOP={TOP}",
            "unshare", "-m", "bash", "-euc", ENTER, "inside", *argv]
