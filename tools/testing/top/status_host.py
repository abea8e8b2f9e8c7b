# SPDX-License-Identifier: GPL-2.0-only
"""A recorded folder of a host, and what vhx-status says of it. sys.argv[1] is the
program."""
import json
import os
import subprocess
import sys
import time

from folder_cases import Failed, expect, read
from tree import RUNNING, Tree

STATUS = sys.argv[1]
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
RULES = f"{SOURCE}/etc/vhx.conf"
MAIN = f"{SOURCE}/drivers/vhost/main.c"
KREL = "6.1.0-57-amd64"
MAGIC = f"{KREL} SMP preempt mod_unload modversions "
FILE = f"lib/modules/{KREL}/updates/dkms/vhx_net.ko"
INFO = """\
filename:       /{file}
version:        {version}
srcversion:     {srcversion}
vermagic:       {magic}
parm:           node:Name of the device node (default vhost-net) (charp)
parm:           features:Offered to clients (charp)
parm:           workers:Worker threads (uint)
parm:           busyloop:How long rings are polled (off)
parm:           fork_from_owner_default:Workers are threads (default Y) (bool)
"""
SIGNED = """\
sig_id:         PKCS#7
signer:         DKMS module signing key
sig_key:        7F:11
sig_hashalgo:   sha512
signature:      00:11:22
\t\t33:44:55
"""
VERSION = subprocess.run([STATUS, "--version"], capture_output=True, text=True,
                         check=True).stdout.split()[1]


class Host(Tree):
    """A host with vhx installed, and no module loaded."""

    def __init__(self, root):
        super().__init__(root)
        self.write("proc/sys/kernel/osrelease", KREL + "\n")
        self.write("proc/cmdline", "root=/dev/vda quiet\n")
        self.write("sys/module/module/parameters/sig_enforce", "N\n")
        self.write("sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
        self.write("etc/modprobe.d/vhx.conf", read(RULES))
        self.write(f"lib/modules/{KREL}/modules.dep",
                   "kernel/drivers/vhost/vhost_net.ko: kernel/drivers/net/tap.ko\n"
                   "updates/dkms/vhx_net.ko: kernel/drivers/net/tap.ko\n")
        self.write(f"lib/modules/{KREL}/kernel/drivers/vhost/vhost_net.ko", "")
        self.write(FILE, "")
        self.info()
        self.write("modinfo/vhost_net", f"vermagic:       {MAGIC}\n")
        self.write("dev/kmsg", "")
        self.write("dev/vhost-net", "")

    def info(self, more="", version=VERSION, srcversion="AA01", magic=MAGIC):
        self.write("modinfo/vhx_net", INFO.format(
            file=FILE, version=version, srcversion=srcversion, magic=magic) + more)

    def load(self, name="vhx_net", taint="OE", srcversion="AA01", **params):
        home = f"sys/module/{name}"
        self.write(f"{home}/initstate", "live\n")
        self.write(f"{home}/version", VERSION + "\n")
        self.write(f"{home}/srcversion", srcversion + "\n")
        self.write(f"{home}/taint", taint + "\n")
        if name == "vhx_net":
            params = {"node": "vhost-net", "workers": "1", **params}
        for key, value in params.items():
            self.write(f"{home}/parameters/{key}", value + "\n")

    def options(self, *lines):
        self.write("etc/modprobe.d/local.conf", "\n".join(lines) + "\n")

    def refused(self, why, seconds=0):
        """By the install rule, that long after all that is there."""
        time.sleep(seconds or .02)
        self.write("run/vhx-refused", f"vhx_net is not loaded ({why}): in-tree "
                   "vhost_net serves /dev/vhost-net\n")

    def guest(self, pid, name, **device):
        ring = {**RUNNING, "ifname": f"tap{pid}", "worker": pid + 1}
        self.process(pid, "qemu", "-name", f"guest={name}")
        self.thread(pid, pid + 1, f"vhost-{pid}")
        self.node(pid, 20, ring, ring, **{"features": "mrg_rxbuf version_1 ",
                                          **device})


def run(host, *args, program=STATUS, **options):
    done = subprocess.run([program, "--root", host.root, *args], text=True,
                          capture_output=True, check=False, timeout=60, **options)
    return done.returncode, done.stdout, done.stderr


def status(host, word, number, *codes):
    """In all formats. Return: what --json has."""
    returned, text, said = run(host, "--json")
    told = json.loads(text)
    expect((word, number, number, "", *codes),
           (told["word"], told["status"], returned, said,
            *(reason["code"] for reason in told["reasons"])))
    returned, text, said = run(host)
    expect((number, word, ""), (returned, text.splitlines()[0], said))
    for reason in told["reasons"]:
        if reason["text"] not in text:
            raise Failed(f"not said: {reason['text']}")
    return told
