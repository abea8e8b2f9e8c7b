# SPDX-License-Identifier: GPL-2.0-only
"""Architectures of the rig: names, and what QEMU needs to be such a machine."""
import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Arch:
    """One architecture. The name is Debian's; a foreign one's machine has its
    userland in the root of that name (roots.py)."""
    name: str
    kernel: str = ""                # ARCH= of a kernel's make
    triplet: str = ""               # of its cross compiler
    qemu: str = "qemu-system-x86_64"
    machine: str = ""               # -M; that of amd64 is in boot.py
    cpu: str = "max"                # under Debian 12's own QEMU
    virtio: str = "pci"             # bus of its devices: virtio-9p-pci
    console: str = "ttyS0"
    words: str = ""                 # of the kernel's command line
    guest_machine: str = ""         # a name in guest.MACHINES; none: no guests

    @property
    def is_foreign(self):
        """This machine runs its programs in QEMU only."""
        return self.name != "amd64"

    @property
    def suffix(self):
        """What its packages are named with beside this machine's."""
        return f":{self.name}" if self.is_foreign else ""

    @property
    def make_args(self):
        """Words for a kernel's make."""
        return (f"ARCH={self.kernel}", f"CROSS_COMPILE={self.triplet}-") \
            if self.is_foreign else ()


# What Debian 12's QEMU makes of cmpxchg16b is in README.rst
AMD64 = Arch("amd64", cpu="max,-cx16", words="tsc=reliable no_timer_check",
             guest_machine="q35")
# All that a processor can have, PAN among it: an access to user memory outside of
# its window faults. Signed pointers by QEMU's own method: the real one is slow.
ARM64 = Arch("arm64", "arm64", "aarch64-linux-gnu", "qemu-system-aarch64",
             "virt-7.2,gic-version=3", "max,pauth-impdef=on", console="ttyAMA0",
             guest_machine="virt")
S390X = Arch("s390x", "s390", "s390x-linux-gnu", "qemu-system-s390x",
             "s390-ccw-virtio", virtio="ccw", console="ttysclp0")


def of_guests():
    """That of VHX_GUEST_VMLINUX (vm run -g)."""
    name = os.environ.get("VHX_GUEST_ARCH", AMD64.name)
    return next(arch for arch in (AMD64, ARM64, S390X) if arch.name == name)
