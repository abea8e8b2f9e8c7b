#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Firmware that boots over the network: KTAP on stdout.

usage: netboot.py --module vhx_net [--accel kvm] [NAME...]     in L1
       unshare -n netboot.py --switch PROGRAM [NAME...]        on any machine

iPXE below SeaBIOS, U-Boot and OVMF ask dnsmasq for an address, and load by TFTP what
then loads a last file: that one is proof that the first was whole. All of it is of
the root "netboot": vm run -r netboot. Names are netboot.<datapath>.<firmware>_ok.
"""
import argparse
import contextlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib

import host
from bench import log
from guest import Net, open_tap
from switch import TAP, Switch

NODE = "/dev/vhost-net"
ROOT = os.environ.get("VHX_ROOT_netboot", "")
MAC = "52:54:00:77:02:{:02x}"
LENGTH = 96 << 10                   # of the last file
# TFTP's blocks without an option have 512 bytes, the longest here 1468
FRAMES = LENGTH // 1468
SCRIPT = "#!ipxe\nimgfetch tftp://{host.ADDR}/{proof} || shell\n"
UBOOT = "tftpboot ${{loadaddr}} {proof}\n"


class Firmware:
    """options: of QEMU; device: of virtio-net-pci; has_apic: of KVM's. The ROM that
    QEMU puts in is iPXE with the device's id; other firmware has a driver of its
    own."""

    def __init__(self, name, options, device=",romfile=", has_apic=True):
        self.name, self.options, self.device = name, options, device
        self.has_apic, self.proof = has_apic, f"proof-{name}"

    def apic(self):
        """Words for the machine and the device under KVM.

        QEMU 11.1's emulated SVM asserts that it holds a lock (cpu_interrupt) when a
        guest writes CR8 while an interrupt waits, unless that write is an exit. OVMF
        writes it in each interrupt. With the APIC in QEMU it always is an exit; then
        there is no irqfd for MSI-X either, hence no vectors."""
        if self.has_apic:
            return [], ""
        return ["-machine", "kernel-irqchip=off"], ",vectors=0"


def firmwares(folder):
    return {firmware.name: firmware for firmware in (
        Firmware("ipxe", ["-M", "pc,hpet=off"], ""),
        Firmware("uboot", [
            "-M", "pc,hpet=off",
            "-bios", f"{ROOT}/usr/lib/u-boot/qemu-x86_64/u-boot.rom"]),
        Firmware("ovmf", [
            "-M", "q35,hpet=off",
            "-drive", "if=pflash,format=raw,readonly=on,file="
            f"{ROOT}/usr/share/OVMF/OVMF_CODE_4M.fd",
            "-drive", f"if=pflash,format=raw,file={folder}/vars.fd"], has_apic=False))}


def image(text):
    """A script in the wrapping of U-Boot's mkimage."""
    data = struct.pack(">II", len(text), 0) + text.encode()
    linux, x86, script = 5, 24, 6

    def header(crc):
        return struct.pack(">7I4B32s", 0x27051956, crc, 0, len(data), 0, 0,
                           zlib.crc32(data), linux, x86, script, 0, b"vhx")

    return header(zlib.crc32(header(0))) + data


def put_files(folder):
    """What is there to load."""
    os.mkdir(f"{folder}/tftp")
    for name in firmwares(folder):
        with open(f"{folder}/tftp/proof-{name}", "wb") as file:
            file.write(os.urandom(LENGTH))
    for name in ("ipxe", "ovmf"):
        with open(f"{folder}/tftp/{name}.ipxe", "w") as file:
            file.write(SCRIPT.format(host=host, proof=f"proof-{name}"))
    with open(f"{folder}/tftp/boot.scr.uimg", "wb") as file:
        file.write(image(UBOOT.format(proof="proof-uboot")))
    shutil.copy(f"{ROOT}/usr/lib/ipxe/snponly.efi", f"{folder}/tftp")
    shutil.copy(f"{ROOT}/usr/share/OVMF/OVMF_VARS_4M.fd", f"{folder}/vars.fd")


class Server:
    """dnsmasq: addresses, and files by TFTP."""

    def __init__(self, folder, dev):
        self.log = f"{folder}/dnsmasq.log"
        # option 175 is iPXE's own; 7 is the architecture of EFI on x86-64
        argv = [f"{ROOT}/lib64/ld-linux-x86-64.so.2", "--library-path",
                f"{ROOT}/usr/lib/x86_64-linux-gnu", f"{ROOT}/usr/sbin/dnsmasq",
                "--conf-file=/dev/null", "--keep-in-foreground", "--user=root",
                "--port=0", "--bind-interfaces", f"--interface={dev}",
                "--except-interface=lo", "--no-ping", "--dhcp-authoritative",
                "--dhcp-range=10.77.0.10,10.77.0.99,1h", "--log-dhcp",
                "--dhcp-match=set:ipxe,175",
                "--dhcp-match=set:efi,option:client-arch,7",
                "--dhcp-boot=tag:efi,tag:!ipxe,snponly.efi",
                "--dhcp-boot=tag:efi,tag:ipxe,ovmf.ipxe",
                "--dhcp-boot=tag:!efi,tag:ipxe,ipxe.ipxe",
                "--enable-tftp", f"--tftp-root={folder}/tftp",
                f"--dhcp-leasefile={folder}/leases", f"--pid-file={folder}/pid",
                f"--log-facility={self.log}"]
        self.proc = subprocess.Popen(argv)

    def text(self):
        with contextlib.suppress(FileNotFoundError), open(self.log) as file:
            return file.read()
        return ""

    def sent(self, name):
        """Whose last block was acknowledged."""
        return bool(re.search(rf"sent \S*/{name} to ", self.text()))

    def end(self):
        self.proc.terminate()
        self.proc.wait(20)


# -- datapaths ---------------------------------------------------------------

class Module:
    """Taps on a bridge, and a module behind the node."""

    def __init__(self, name, _folder):
        self.name, self.dev, self.tap = name, host.BRIDGE, "vhxtap0"

    def __enter__(self):
        host.make_bridge()
        host.load(self.name, NODE)
        host.make_tap(self.tap)
        return self

    def __exit__(self, *_):
        host.drop_tap(self.tap)
        host.unload(self.name)

    def netdev(self, fds):
        fds.append(open_tap(Net(self.tap, "")))
        return [f"tap,id=n0,fd={fds[-1]},vhost=on"], ""

    def moved(self, pid):
        """Frames to and from the guest, by fdinfo; in-tree tells only its worker's
        time."""
        if self.name == host.IN_TREE:
            return [sum(host.workers(pid).values())] * 2
        path, = host.node_paths(pid, NODE)
        with open(path.replace("/fd/", "/fdinfo/")) as file:
            text = file.read()
        return [int(re.search(rf"^vhx-{way}-frames:\t(\d+)", text, re.M)[1])
                for way in ("rx", "tx")]


class Switched:
    """Ports of vhx-switch."""
    name = "vhx-switch"
    dev = TAP

    def __init__(self, program, folder):
        self.switch = Switch(program, folder)

    def __enter__(self):
        self.switch.start(f"vhost-user,name=a,path={self.switch.path('a')}",
                          f"tap,name=host,ifname={TAP}")
        for words in (["addr", "add", f"{host.ADDR}/24", "dev", TAP],
                      ["link", "set", TAP, "up"], ["link", "set", "lo", "up"]):
            host.sh("ip", *words)
        return self

    def __exit__(self, *_):
        self.switch.stop()

    def netdev(self, _fds):
        # with MSI-X QEMU 7.2 goes where KVM's irqfd would be, and dies
        return ["vhost-user,id=n0,chardev=u0", "-chardev",
                f"socket,id=u0,path={self.switch.path('a')}", "-object",
                "memory-backend-memfd,id=m,size=512M,share=on", "-machine",
                "memory-backend=m"], ",vectors=0"

    def moved(self, _pid):
        port = self.switch.ports()["a"]
        return [port["tx"], port["rx"]]


# -- a boot ------------------------------------------------------------------

def boot(path, firmware, server, number, opts, folder):
    """Until its last file was sent. Return: a remark."""
    fds = []
    (netdev, *more), options = path.netdev(fds)
    if opts.accel == "kvm":
        words, no_vectors = firmware.apic()
        more, options = more + words, options + no_vectors
    argv = ["qemu-system-x86_64", *firmware.options, "-accel", opts.accel,
            "-cpu", "EPYC,check=off" if opts.accel == "kvm" else "max,-cx16",
            "-m", "512M", "-nodefaults", "-no-user-config", "-display", "none",
            "-serial", f"file:{folder}/{firmware.name}.txt", "-netdev", netdev,
            *more, "-device", f"virtio-net-pci,netdev=n0,bootindex=0,mac="
            f"{MAC.format(number)}{options}{firmware.device}"]
    began = time.monotonic()
    before = [0, 0] if isinstance(path, Module) else path.moved(0)
    with subprocess.Popen(argv, pass_fds=fds, stdin=subprocess.DEVNULL) as proc:
        for fd in fds:
            os.close(fd)
        try:
            while not server.sent(firmware.proof):
                if proc.poll() is not None:
                    raise host.HostError(f"QEMU ended: {proc.returncode}")
                if time.monotonic() > began + opts.secs:
                    raise host.HostError(f"not loaded in {opts.secs} s")
                time.sleep(0.2)
            moved = [new - old for new, old in zip(path.moved(proc.pid), before)]
        finally:
            proc.kill()
    if min(moved) < FRAMES:
        raise host.HostError(f"frames by the datapath: {moved}")
    return f"{time.monotonic() - began:.0f} s, {moved[0]} and {moved[1]} frames"


def tail(path):
    with contextlib.suppress(OSError), open(path, errors="replace") as file:
        text = re.sub(r"\x1b\[[0-9;=?]*[A-Za-z]", "", file.read())
        log(f"{os.path.basename(path)}:\n{text[-1500:]}".replace("\n", "\n# "))


def boots(path, folder, opts):
    put_files(folder)
    failed = number = 0
    server = Server(folder, path.dev)
    try:
        for name, firmware in firmwares(folder).items():
            if opts.names and name not in opts.names:
                continue
            number += 1
            try:
                remark, is_ok = boot(path, firmware, server, number, opts,
                                     folder), True
            except host.HostError as err:
                remark, is_ok = str(err), False
                tail(f"{folder}/{name}.txt")
                tail(server.log)
            failed += not is_ok
            log(f"{name}: {remark}")
            print("ok" if is_ok else "not ok", number,
                  f"netboot.{path.name}.{name}_ok", flush=True)
    finally:
        server.end()
    print(f"1..{number}")
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--module", default="vhx_net")
    parser.add_argument("--switch")
    parser.add_argument("--accel", default="tcg")
    parser.add_argument("--secs", type=int, default=480)
    parser.add_argument("names", nargs="*")
    opts = parser.parse_args()
    print("KTAP version 1", flush=True)
    with tempfile.TemporaryDirectory(prefix="vhx-netboot-") as folder:
        if not opts.switch and opts.accel == "kvm":
            host.modprobe_kvm()
        with Switched(opts.switch, folder) if opts.switch else \
                Module(opts.module, folder) as path:
            return boots(path, folder, opts) > 0


if __name__ == "__main__":
    sys.exit(main())
