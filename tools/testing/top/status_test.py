#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""vhx-status on recorded folders, and its units. Prints KTAP.
usage: status_test.py VHX-STATUS [CASE...]"""
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time

from folder_cases import Failed, Skip, case, expect, read, run_cases
from status_host import FILE, KREL, MAGIC, SIGNED, SOURCE, STATUS, VERSION, Host, \
    run, status

importlib.import_module("status_conf")     # more cases


# -- who serves ---------------------------------------------------------------

@case
def ours_vhx(host):
    host.load(features="6.1")
    host.guest(100, "web")
    told = status(host, "vhx", 0)
    expect({"node": "vhost-net", "workers": "1", "features": "6.1"},
           told["loaded"]["parameters"])
    expect((VERSION, False), (told["loaded"]["version"], told["loaded"]["signed"]))
    device, = told["devices"]
    expect(("web", 100, "vhx", "/dev/vhost-net", ["mrg_rxbuf", "version_1"]), tuple(
        device[key] for key in ("vm", "pid", "kind", "node", "features")))
    expect({"state": "running", "format": "split", "ifname": "tap100", "queue": 0,
            "worker": 101}, device["tx"])
    _, text, _ = run(host)
    expect("web 100 vhx tap100 0 101 split mrg_rxbuf version_1",
           " ".join(text.splitlines()[-1].split()))
    expect((0, "vhx: as it should be\n", ""), run(host, "--check"))


@case
def nobody_yet_ready(host):
    told = status(host, "ready", 0)
    expect((None, f"/{FILE}", False), (told["loaded"], told["installed"]["path"],
                                       told["installed"]["signed"]))
    if not re.fullmatch(r"/etc/modprobe.d/vhx.conf:\d+", told["configuration"]["rule"]):
        raise Failed(told["configuration"])


@case
def on_another_node_beside(host):
    host.load(node="fast")
    status(host, "beside", 0)
    host.load("vhost_net")
    told = status(host, "beside", 0)
    expect("fast", told["loaded"]["node"])
    _, text, _ = run(host)
    if "/dev/fast vhx_net serves it" not in text or \
            "in-tree vhost_net serves it" not in text:
        raise Failed(text)


@case
def to_be_on_another_node_ready(host):
    host.options("options vhx_net node=slow", 'options vhx_net node="fast"')
    status(host, "ready", 0)
    _, text, _ = run(host)
    if "/dev/fast vhx_net will serve it" not in text:
        raise Failed(text)


@case
def by_a_program_other(host):
    os.makedirs(f"{host.root}/sys/class/cuse/vhost-net")
    status(host, "other", 1, "other")


@case
def still_loading_is_not_serving(host):
    host.load()
    host.write("sys/module/vhx_net/initstate", "coming\n")
    os.makedirs(f"{host.root}/sys/class/misc/vhost-net")
    status(host, "ready", 0)


@case
def without_the_node_nobody(host):
    """As after rmmod, where no static nodes are made at boot."""
    os.unlink(f"{host.root}/dev/vhost-net")
    status(host, "nobody", 2, "no-node")
    host.load(node="fast")
    status(host, "beside", 0)


@case
def no_sysfs_unknown(host):
    host.remove("sys")
    status(host, "unknown", 3, "no-sysfs")


# -- why not ------------------------------------------------------------------

@case
def first_come_node_taken(host):
    host.load("vhost_net")
    status(host, "in-tree", 1, "node-taken")
    returned, text, _ = run(host, "--check")
    expect((1, "in-tree: vhost_net has /dev/vhost-net as long as it is loaded"),
           (returned, text.splitlines()[0]))


@case
def part_of_the_kernel_built_in(host):
    host.write("sys/module/vhost_net/parameters/experimental_zcopytx", "0\n")
    status(host, "in-tree", 1, "built-in")


@case
def nothing_of_vhx_not_installed(host):
    for path in ("etc/modprobe.d/vhx.conf", FILE):
        os.unlink(f"{host.root}/{path}")
    host.write(f"lib/modules/{KREL}/modules.dep", "kernel/vhost_net.ko:\n")
    status(host, "nobody", 1, "not-installed")
    expect((0, "nobody: vhx is not installed here\n", ""), run(host, "--check"))
    host.write(f"lib/modules/{KREL}/modules.dep", "")
    status(host, "nobody", 2, "not-installed")
    host.load("vhost_net")
    status(host, "in-tree", 1, "not-installed")
    expect(0, run(host, "--check")[0])


def without_module(host):
    os.unlink(f"{host.root}/{FILE}")
    host.write(f"lib/modules/{KREL}/modules.dep", "kernel/vhost_net.ko:\n")


@case
def no_module_says_dkms_state(host):
    without_module(host)
    hint = status(host, "nobody", 1, "no-module")["reasons"][0]["hint"]
    expect("install vhx for it: make install", hint)
    home = "var/lib/dkms/vhx/0.9"
    os.makedirs(f"{host.root}/{home}")
    told = status(host, "nobody", 1, "no-module")
    expect(("added", True), tuple(told["dkms"][0][key]
                                  for key in ("state", "kernel_supported")))
    expect(f"apt-get install linux-headers-{KREL} && dkms install --force vhx/0.9 "
           f"-k {KREL}", told["reasons"][0]["hint"])
    # of another kernel
    host.write(f"{home}/build/make.log",
               "DKMS make.log for vhx-0.9 for kernel 6.1.0-1-amd64 (x86_64)\n")
    expect("added", status(host, "nobody", 1, "no-module")["dkms"][0]["state"])
    host.write(f"{home}/build/make.log",
               f"DKMS make.log for vhx-0.9 for kernel {KREL} (x86_64)\n")
    told = status(host, "nobody", 1, "no-module")
    expect(("build failed", f"/{home}/build/make.log"),
           tuple(told["dkms"][0][key] for key in ("state", "log")))
    os.makedirs(f"{host.root}/{home}/{KREL}/x86_64")
    expect("built", status(host, "nobody", 1, "no-module")["dkms"][0]["state"])


@case
def dkms_of_this_kernel_installed(host):
    home = f"{host.root}/var/lib/dkms/vhx"
    for version in ("0.8", "0.9"):
        os.makedirs(f"{home}/{version}/{KREL}/x86_64")
    os.makedirs(f"{home}/0.10")
    os.symlink(f"0.9/{KREL}/x86_64", f"{home}/kernel-{KREL}-x86_64")
    os.symlink("0.8/6.1.0-1-amd64/x86_64", f"{home}/kernel-6.1.0-1-amd64-x86_64")
    expect([("0.8", "built"), ("0.9", "installed"), ("0.10", "added")],
           [(one["version"], one["state"]) for one in
            status(host, "ready", 0)["dkms"]])


@case
def too_new_kernel_not_supported(host):
    without_module(host)
    os.makedirs(f"{host.root}/var/lib/dkms/vhx/0.9")
    host.write("usr/src/vhx-0.9/dkms.conf", read(f"{SOURCE}/dkms.conf"))
    status(host, "nobody", 1, "no-module")
    host.write("proc/sys/kernel/osrelease", "7.9.1-amd64\n")
    status(host, "nobody", 2, "kernel-not-supported")


@case
def not_listed_no_depmod(host):
    host.write(f"lib/modules/{KREL}/modules.dep", "kernel/vhost_net.ko:\n")
    told = status(host, "nobody", 1, "no-depmod")
    expect(f"depmod {KREL}", told["reasons"][0]["hint"])


@case
def listed_and_gone_no_module(host):
    os.unlink(f"{host.root}/{FILE}")
    status(host, "nobody", 1, "no-module")


@case
def compressed_module_found(host):
    for end in (".xz", ".zst", ".gz"):
        host.write(f"lib/modules/{KREL}/modules.dep",
                   f"kernel/my_vhx_net.ko{end}:\nextra/vhx_net.ko{end}: a b\n"
                   "extra/vhx_net.ko.txt:\n")
        host.write(f"lib/modules/{KREL}/extra/vhx_net.ko{end}", "")
        expect(f"/lib/modules/{KREL}/extra/vhx_net.ko{end}",
               status(host, "ready", 0)["installed"]["path"])


@case
def no_module_in_it_damaged(host):
    host.write("modinfo/vhx_net", f"filename:       /{FILE}\nmodinfo: ERROR: could "
               "not get modinfo from 'vhx_net': Invalid argument\n")
    told = status(host, "nobody", 1, "damaged")
    expect(f"/{FILE}: Invalid argument", told["reasons"][0]["text"])
    host.write("modinfo/vhx_net", f"filename:       /{FILE}\n")
    status(host, "nobody", 1, "damaged")


@case
def other_kind_of_kernel_wrong_kernel(host):
    host.info(magic=MAGIC.replace("SMP preempt", "SMP preempt_rt"))
    status(host, "nobody", 1, "wrong-kernel")
    # symbols have sums: its release may differ
    host.info(magic=MAGIC.replace("-57-", "-56-"))
    status(host, "ready", 0)
    magic = MAGIC.replace(" modversions", "")
    host.write("modinfo/vhost_net", f"vermagic:       {magic}\n")
    host.info(magic=magic.replace("-57-", "-56-"))
    status(host, "nobody", 1, "wrong-kernel")


@case
def not_signed_signature(host):
    host.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    told = status(host, "nobody", 1, "signature")
    expect({"sig_enforce": False, "lockdown": "integrity", "secure_boot": None,
            "required": True}, told["signatures"])
    host.info(SIGNED)
    told = status(host, "ready", 0)
    expect((True, "DKMS module signing key", "7F:11", "sha512"), tuple(
        told["installed"][key] for key in ("signed", "signer", "sig_key",
                                           "sig_hashalgo")))
    # it has a signature, and the kernel does not know whose
    host.refused("Key was rejected by service")
    status(host, "nobody", 1, "signature")


@case
def secure_boot_is_told(host):
    path = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    host.write(path, "\x06\0\0\0\x01")
    expect(True, status(host, "ready", 0)["signatures"]["secure_boot"])
    host.write(path, "\x06\0\0\0\0")
    expect(False, status(host, "ready", 0)["signatures"]["secure_boot"])


@case
def refusal_with_the_words_of_the_kernel(host):
    host.write("dev/kmsg", "3,0,4,-;vhx_net: features=6.2: take all\n"
               "12,1,4,-;vhx: vhx_net is not loaded\n"
               "3,1,5,-;vhx_net: workers=9: 1 or 2 wanted\n"
               "12,1,5,-;vhx: vhx_net is not loaded\n"
               "6,2,6,-;vhx_net: loading out-of-tree module taints kernel.\n"
               "3,3,7,-;vhx_net: Unknown symbol tap_get_socket (err -2)\n"
               " SUBSYSTEM=x\n6,4,8,-;eth0: link up\n"
               "12,5,9,-;vhx: vhx_net is not loaded\n")
    for said, code in (("Unknown symbol in module, or unknown parameter (see dmesg)",
                        "wrong-kernel"), ("Exec format error", "damaged"),
                       ("Operation not permitted", "signature"),
                       ("Cannot allocate memory", "refused"),
                       ("Device or resource busy", "node-taken")):
        host.refused(said)
        told = status(host, "nobody", 1, code)
        if said not in told["reasons"][0]["text"]:
            raise Failed(told["reasons"])
    expect(["vhx_net: Unknown symbol tap_get_socket (err -2)"],
           told["refusal"]["kernel_log"])
    if abs(told["refusal"]["time"] - time.time()) > 60:
        raise Failed(told["refusal"])
    host.load("vhost_net")
    status(host, "in-tree", 1, "node-taken", "node-taken")


@case
def refusal_before_a_change_is_a_note(host):
    host.refused("Exec format error")
    status(host, "nobody", 1, "damaged")
    time.sleep(.02)
    host.write(FILE, "new")
    told = status(host, "ready", 0, "damaged")
    if "changed since" not in told["reasons"][0]["hint"]:
        raise Failed(told["reasons"])
    host.refused("Exec format error")
    time.sleep(.02)
    host.options("options vhx_net workers=2")
    status(host, "ready", 0, "damaged")


@case
def newer_one_installed_upgrade(host):
    host.load(srcversion="BB02")
    expect(True, status(host, "vhx", 0, "upgrade")["upgrade_pending"])


@case
def newer_one_of_the_same_sources_upgrade(host):
    host.load()
    host.info(version="9.9.9")
    expect(True, status(host, "vhx", 0, "upgrade")["upgrade_pending"])


# -- who may see what, and bad input ------------------------------------------

@case
def other_users_vm_is_hidden(host):
    host.load()
    host.guest(100, "web")
    os.chmod(f"{host.root}/proc/100/fdinfo/20", 0)
    os.chmod(f"{host.root}/dev/kmsg", 0)
    host.write("etc/modprobe.d/secret.conf", "")
    os.chmod(f"{host.root}/etc/modprobe.d/secret.conf", 0)
    os.chmod(host.root, 0o755)
    program = shutil.copy(STATUS, host.root)
    returned, text, said = run(host, program=program, user=65534)
    expect((0, ""), (returned, said))
    for part in ("1 of other users, hidden: run vhx-status as root",
                 "/etc/modprobe.d/secret.conf: Permission denied"):
        if part not in text:
            raise Failed(text)


@case
def bad_input_is_no_crash(host):
    """Anything in place of any file."""
    host.load()
    host.guest(100, "w\x1b[2Jeb")
    host.refused("why")
    long = "x" * 100000
    for junk in ("", "\0\0\0", "=\n:\n", long, long.replace("x", "a b=\n"),
                 "options vhx_net " + "a=b " * 5000 + "\n", "alias\noptions\ninstall"):
        for path in ("proc/sys/kernel/osrelease", "proc/cmdline",
                     "sys/module/module/parameters/sig_enforce",
                     "sys/kernel/security/lockdown", "sys/module/vhx_net/version",
                     "sys/module/vhx_net/taint", "sys/module/vhx_net/parameters/node",
                     "etc/modprobe.d/vhx.conf", "etc/modprobe.d/other.conf",
                     f"lib/modules/{KREL}/modules.dep", "modinfo/vhx_net",
                     "modinfo/vhost_net", "dev/kmsg", "run/vhx-refused"):
            host.write(path, junk)
            for args in ([], ["--json"], ["--check"]):
                returned, text, said = run(host, *args, errors="replace")
                if returned not in range(4) or said or "\x1b" in text:
                    raise Failed(f"{path}: {junk[:9]!r}: {returned}: {said}")


@case
def options_64(host):
    for args in (["--nonsense"], ["more"], ["--json", "--check"], ["--root"]):
        returned, text, said = run(host, *args)
        if returned != 64 or text or not said:
            raise Failed(f"{args}: {returned}: {said}")
    expect(0, run(host, "--help")[0])
    expect(f"vhx-status {VERSION}\n", run(host, "--version")[1])


@case
def full_disk_3(host):
    for args in ([], ["--json"], ["--check"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([STATUS, "--root", host.root, *args], stdout=full,
                                  stderr=subprocess.PIPE, text=True, check=False)
        expect((3, "vhx-status: standard output: No space left on device\n"),
               (done.returncode, done.stderr))


@case
def this_machine_has_an_answer(host):
    done = subprocess.run([STATUS, "--json"], capture_output=True, text=True,
                          check=False)
    expect(("", done.returncode), (done.stderr, json.loads(done.stdout)["status"]))


# -- units --------------------------------------------------------------------

@case
def units_by_systemd_ok(host):
    if not shutil.which("systemd-analyze"):
        raise Skip("no systemd-analyze")
    os.makedirs(f"{host.root}/units")
    shutil.copy(STATUS, f"{host.root}/vhx-status")
    names = ("vhx-check.service", "vhx-check.timer")
    for name in names:
        host.write(f"units/{name}", read(f"{SOURCE}/tools/vhx-top/{name}").replace(
            "@SBIN@", host.root))
    done = subprocess.run(["systemd-analyze", "--man=no", "verify", *(
        f"{host.root}/units/{name}" for name in names)], capture_output=True,
        text=True, check=False)
    bad = [line for line in (done.stdout + done.stderr).splitlines()
           if "vhx-" in line]
    expect((0, []), (done.returncode, bad))


sys.exit(run_cases("top.status", Host, sys.argv[2:]))
