# SPDX-License-Identifier: GPL-2.0-only
"""Architectures of the rig: names, and what QEMU needs to be such a machine."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Arch:
    """One architecture. The name is Debian's; a foreign one's machine has its
    userland in the root of that name (roots.py)."""
    name: str
    kernel: str = ""                # ARCH= of a kernel's make
    triplet: str = ""               # of its cross compiler
    qemu: str = "qemu-system-x86_64"
    machine: tuple = ()             # words for that
    virtio: str = "pci"             # bus of its devices: virtio-9p-pci
    console: str = "ttyS0"

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


AMD64 = Arch("amd64")
# All that a processor can have, PAN among it: an access to user memory outside of
# its window faults. Signed pointers by QEMU's own method: the real one is slow.
ARM64 = Arch("arm64", "arm64", "aarch64-linux-gnu", "qemu-system-aarch64",
             ("-M", "virt,gic-version=3", "-cpu", "max,pauth-impdef=on"),
             console="ttyAMA0")
S390X = Arch("s390x", "s390", "s390x-linux-gnu", "qemu-system-s390x",
             ("-M", "s390-ccw-virtio", "-cpu", "max"), "ccw", "ttysclp0")
