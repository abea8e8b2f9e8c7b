# SPDX-License-Identifier: GPL-2.0-only
"""libvirtd in a root of its own, in L1: vm run -r libvirt."""
import os
import subprocess
import time

import host

CGROUPS = "/sys/fs/cgroup"
LOG = "/run/libvirtd.log"
CONFIG = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
stdio_handler = "file"
namespaces = []
"""
# what the package's scripts would have made
USERS = ("libvirt-qemu", "kvm", "libvirt", "dnsmasq")


def read(path):
    with open(path) as file:
        return file.read()


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


class Libvirt:
    """libvirtd in its root, and virsh."""

    def __init__(self):
        self.enter = host.enter_root("libvirt")
        root = self.enter[1]
        host.sh("mount", "--bind", CGROUPS, root + CGROUPS)
        for path, line in (("passwd", "{0}:x:{1}:{1}::/nonexistent:/bin/false\n"),
                           ("group", "{0}:x:{1}:\n")):
            write(f"{root}/etc/{path}", read(f"/etc/{path}") + "".join(
                line.format(name, number)
                for number, name in enumerate(USERS, 64055)))
        host.sh("ln", "-sfn", "/run", f"{root}/var/run")
        write(f"{root}/etc/libvirt/qemu.conf", CONFIG)
        # each emulator that it finds is started and asked, which takes a while here
        for name in ("i386", "x86_64-microvm"):
            os.unlink(f"{root}/usr/bin/qemu-system-{name}")
        self.root = root
        self.log = open(LOG, "w")
        self.proc = subprocess.Popen([*self.enter, "libvirtd"], stderr=self.log,
                                     stdout=self.log)
        deadline = time.monotonic() + 120
        while not os.path.exists("/run/libvirt/libvirt-sock"):
            if time.monotonic() > deadline:
                raise host.HostError("libvirtd does not listen")
            time.sleep(0.05)

    def virsh(self, *argv):
        return host.sh("env", "LC_ALL=C", *self.enter, "virsh", "-q", "-c",
                       "qemu:///system", *argv, timeout=240)

    def end(self):
        self.proc.terminate()
        self.proc.wait(60)
        self.log.close()

    @staticmethod
    def tail():
        """The end of its log, for a report."""
        return "# " + read(LOG)[-4000:].replace("\n", "\n# ")
