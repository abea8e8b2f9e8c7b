#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A domain of libvirt on a node, and what virsh does to it: KTAP on stdout.

usage: domains.py [--module vhx_net] [--only REGEX] [NODE...]

Runs in L1, as root: vm run -r libvirt -g K. With vhx_net it serves both nodes, one
after the other, the second beside in-tree; names are libvirt.<node>.<what>_ok.
"""
import argparse
import os
import re
import socket
import subprocess
import sys
import time
import traceback

import host
from bench import log
from domain import NAME, Domain, Link
from guest import Guest, GuestError, GuestTimeout
from libvirtd import CGROUPS, Libvirt, read, write

NODES = ("/dev/vhost-net", "/dev/vhost-net-vhx")
QUEUES = 7
NETWORK = """\
<network>
  <name>vhxnet</name>
  <forward mode='open'/>
  <bridge name='vhxvirbr' delay='0'/>
  <ip address='10.77.2.1' netmask='255.255.255.0'>
    <dhcp><range start='10.77.2.2' end='10.77.2.2'/></dhcp>
  </ip>
</network>
"""
DHCP = """cat >/tmp/dhcp <<'END'
#!/bin/sh
[ "$1" != bound ] || ip addr add "$ip/$mask" dev "$interface"
END
chmod +x /tmp/dhcp
ip addr flush dev {0}
ip link set {0} up && udhcpc -i {0} -n -q -t 20 -T 3 -s /tmp/dhcp
"""
CASES = []


def case(func):
    CASES.append(func)
    return func


def expect(wanted, got, what=""):
    if wanted != got:
        raise host.HostError(f"{what}: {got!r}, not {wanted!r}")


def until(is_so, what, secs=60):
    deadline = time.monotonic() + secs
    while not is_so():
        if time.monotonic() > deadline:
            raise host.HostError(what)
        time.sleep(0.1)


def is_answering(addr):
    return subprocess.run(["ping", "-q", "-c", "2", "-W", "2", addr],
                          stdout=subprocess.DEVNULL,
                          check=False).returncode == 0


def cpus(tid):
    return re.search(r"^Cpus_allowed_list:\s*(.*)$", read(f"/proc/{tid}/status"),
                     re.M)[1]


def group(tid):
    return re.search(r"^0::(.*)$", read(f"/proc/{tid}/cgroup"), re.M)[1]


class Rig:
    """Links of each kind, and the domain on one node."""

    def __init__(self, libvirt, node):
        self.node = node
        self.links = {link.kind: link for link in (
            Link(0, "bridge", f"<source bridge='{host.BRIDGE}'/>", QUEUES),
            Link(1, "ethernet", "", QUEUES),
            Link(2, "network", "<source network='vhxnet'/>", QUEUES),
            Link(3, "direct", "<source dev='vhxlow' mode='bridge'/>", QUEUES))}
        self.extra = Link(4, "bridge", f"<source bridge='{host.BRIDGE}'/>", 1)
        self.domain = Domain(libvirt, self.links.values(), node, log)

    @property
    def bridge(self):
        return self.links["bridge"]

    def set_up(self):
        """Addresses on both sides, as after a start."""
        for link in self.links.values():
            if link.kind == "network":
                self.lease()
            else:
                self.domain.set_up(link)
        self.set_up_host()

    def set_up_host(self):
        """Our end of the tap that libvirt made and leaves alone."""
        link = self.links["ethernet"]
        host.sh("ip", "addr", "replace", f"{link.host_addr}/24", "dev", link.tap)
        host.sh("ip", "link", "set", link.tap, "up")

    def lease(self):
        link = self.links["network"]
        self.domain.check(DHCP.format(self.domain.dev(link)), 90)
        return self.domain.virsh("net-dhcp-leases", "vhxnet", link.mac)

    def pass_all(self):
        for link in self.links.values():
            self.domain.passes(link)

    def expect_served(self, queues):
        """A descriptor of the node for each queue pair, and a worker."""
        pid = self.domain.pid
        expect(queues, host.node_fds(pid, self.node), "descriptors")
        expect(queues, len(host.workers(pid)), "workers")


@case
def start(rig):
    rig.domain.start()
    rig.set_up()
    rig.domain.passes(rig.bridge)
    rig.expect_served(QUEUES * len(rig.links))
    return rig.domain.release


def seven_queues(rig, kind):
    """Frames of many flows come by each of the queue pairs: the tap chooses by the
    flow."""
    link = rig.links[kind]
    dev = rig.domain.dev(link)
    rig.domain.check(f"ethtool -L {dev} combined {QUEUES}", 60)
    rig.domain.passes(link)

    def flows():
        for port in range(20000, 20000 + 40 * QUEUES):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"x", (link.addr, port))
        host.ping(link.addr, 2)

    moved = rig.domain.moved(link, flows)
    if sum(to_guest > 0 for to_guest, _ in moved) < QUEUES:
        raise GuestError(f"frames to and from the guest: {moved}")
    return f"frames to and from the guest: {moved}"


@case
def bridge_7_queues(rig):
    return seven_queues(rig, "bridge")


@case
def ethernet_7_queues(rig):
    return seven_queues(rig, "ethernet")


@case
def network_7_queues(rig):
    return seven_queues(rig, "network")


@case
def direct_7_queues(rig):
    return seven_queues(rig, "direct")


@case
def dhcp(rig):
    link = rig.links["network"]
    lease = rig.lease()
    if link.addr not in lease:
        raise host.HostError(f"leases of libvirt: {lease}")
    rig.domain.passes(link)


@case
def emulatorpin(rig):
    pid = rig.domain.pid
    for where in ("1", "0", "0-1"):
        rig.domain.virsh("emulatorpin", NAME, where)
        expect({where}, {cpus(tid) for tid in [pid, *host.workers(pid)]})
        rig.domain.passes(rig.bridge)


@case
def schedinfo(rig):
    """Its bandwidth is a limit of the group that the workers are in."""
    pid = rig.domain.pid
    groups = {group(tid) for tid in host.workers(pid)}
    expect({group(pid)}, groups, "the workers' group")
    limit = f"{CGROUPS}{group(pid)}/cpu.max"
    for quota, wanted in (("80000", "80000 100000"), ("-1", "max 100000")):
        rig.domain.virsh("schedinfo", NAME, "--live", "--set",
                         "emulator_period=100000", f"emulator_quota={quota}")
        expect(wanted, read(limit).strip())
        rig.domain.passes(rig.bridge)


@case
def domif_setlink(rig):
    link = rig.bridge
    for state, carrier in (("down", "0"), ("up", "1")):
        rig.domain.virsh("domif-setlink", NAME, link.tap, state)
        dev = rig.domain.dev(link)
        rig.domain.check(f"until [ $(cat /sys/class/net/{dev}/carrier) = "
                         f"{carrier} ]; do sleep 0.2; done")
        if state == "down" and is_answering(link.addr):
            raise host.HostError("it answers while its link is down")
    rig.expect_served(QUEUES * len(rig.links))
    rig.domain.passes(link)
    rig.domain.passes(rig.links["ethernet"])


@case
def domiftune(rig):
    """At 200 KB/s, with a burst of 20 KB, 600 KB take 2 seconds at least."""
    def secs():
        server = host.FileServer(600 << 10)
        try:
            began = time.monotonic()
            out = rig.domain.check(f"wget -q -O - {server.url} | sha256sum", 60)
            took = time.monotonic() - began
        finally:
            server.close()
        expect(server.sha256, out.split()[0])
        return took

    free = secs()
    rig.domain.virsh("domiftune", NAME, rig.bridge.tap, "--inbound", "200,200,20")
    limited = secs()
    rig.domain.virsh("domiftune", NAME, rig.bridge.tap, "--inbound", "0")
    rig.domain.passes(rig.bridge)
    if limited < 2:
        raise host.HostError(f"{limited:.1f} s")
    return f"{free:.1f} s, then {limited:.1f} s"


@case
def attach_device(rig):
    write(f"{rig.domain.libvirt.root}/etc/extra.xml", rig.extra.xml(rig.node))
    rig.domain.virsh("attach-device", NAME, "/etc/extra.xml", "--live")
    rig.domain.set_up(rig.extra)
    rig.domain.passes(rig.extra)
    rig.expect_served(QUEUES * len(rig.links) + 1)


@case
def detach_device(rig):
    if rig.extra.mac not in rig.domain.virsh("domiflist", NAME):
        attach_device(rig)          # it went with a QEMU that had a retry
    rig.domain.virsh("detach-device", NAME, "/etc/extra.xml", "--live")
    until(lambda: rig.extra.mac not in rig.domain.virsh("domiflist", NAME),
          "the guest does not let it go")
    rig.domain.check(f"! grep {rig.extra.mac} /sys/class/net/*/address")
    expect(False, os.path.exists(f"/sys/class/net/{rig.extra.tap}"), "its tap")
    rig.expect_served(QUEUES * len(rig.links))
    rig.domain.passes(rig.bridge)


@case
def suspend_resume(rig):
    rig.domain.virsh("suspend", NAME)
    expect("paused", rig.domain.state())
    expect(False, is_answering(rig.bridge.addr), "answers while it is paused")
    rig.domain.virsh("resume", NAME)
    rig.pass_all()


@case
def managedsave_and_restore(rig):
    """The guest goes on in another QEMU, with all of its queue pairs."""
    mark = rig.domain.check("cat /proc/sys/kernel/random/boot_id; "
                            "echo here >/tmp/mark")
    pid = rig.domain.pid
    rig.domain.virsh("managedsave", NAME)
    expect("shut off", rig.domain.state())
    expect(False, os.path.exists(f"/proc/{pid}"), "QEMU runs on")
    rig.domain.close()
    rig.domain.virsh("start", NAME)
    rig.domain.connect(time.monotonic() + 60)
    expect(mark + "here\n", rig.domain.check(
        "cat /proc/sys/kernel/random/boot_id /tmp/mark"))
    rig.set_up_host()
    rig.expect_served(QUEUES * len(rig.links))
    rig.pass_all()


@case
def reset(rig):
    pid = rig.domain.pid
    rig.domain.reset()
    rig.set_up()
    rig.pass_all()
    rig.expect_served(QUEUES * len(rig.links))
    return "the same QEMU" if pid == rig.domain.pid else "a new QEMU"


@case
def destroy(rig):
    pid = rig.domain.pid
    rig.domain.virsh("destroy", NAME)
    rig.domain.close()
    expect("shut off", rig.domain.state())
    until(lambda: not workers_of(pid), "a worker stays", 20)
    left = [link.tap for link in rig.links.values()
            if os.path.exists(f"/sys/class/net/{link.tap}")]
    expect([], left, "taps")


def workers_of(pid):
    return subprocess.run(["pgrep", "-x", f"vhost-{pid}"], check=False,
                          stdout=subprocess.DEVNULL).returncode == 0


# -- all of them -----------------------------------------------------------

class Count:
    done = failed = 0


def run_case(name, func, *args):
    is_ok, remark = True, None
    began = time.monotonic()
    try:
        remark = func(*args)
    except Exception as err:        # pylint: disable=broad-except
        if not isinstance(err, (GuestError, host.HostError)):
            log(traceback.format_exc().replace("\n", "\n# "))
        is_ok, remark = False, f"{type(err).__name__}: {err}"
    Count.done += 1
    Count.failed += not is_ok
    if remark is not None:
        log(f"{name}: {remark}".replace("\n", "\n# "))
    log(f"{name}: {time.monotonic() - began:.1f} s")
    print("ok" if is_ok else "not ok", Count.done, name, flush=True)
    return is_ok


def tried(func, rig):
    """A guest that falls silent, as one does now and then under two levels of
    emulation, has one retry: a fresh start, and the case again."""
    try:
        return func(rig)
    except GuestTimeout as err:
        if func is start:           # which has its own
            raise
        Guest.retries += 1
        log(f"once more, by a fresh QEMU: {err}".replace("\n", "\n# "))
        rig.domain.kill()
        start(rig)
        return func(rig)


def cases(libvirt, node, only):
    """Those that come after a failed start have no domain."""
    what = f"libvirt.{os.path.basename(node)}"
    rig = Rig(libvirt, node)
    try:
        for func in CASES:
            if not re.search(only, func.__name__) and \
                    func not in (start, destroy):
                continue
            if not run_case(f"{what}.{func.__name__}_ok", tried, func, rig) and \
                    func is start:
                break
    finally:
        rig.domain.stop()


def make_links(libvirt):
    host.make_bridge()
    host.sh("ip", "addr", "add", "10.77.4.1/24", "dev", host.BRIDGE)
    host.sh("ip", "link", "add", "vhxup", "type", "veth", "peer", "name", "vhxlow")
    host.sh("ip", "addr", "add", "10.77.3.1/24", "dev", "vhxup")
    for dev in ("vhxup", "vhxlow"):
        host.sh("ip", "link", "set", dev, "up")
    write(f"{libvirt.root}/etc/vhxnet.xml", NETWORK)
    libvirt.virsh("net-create", "/etc/vhxnet.xml")


def serve(module, node):
    if module != host.IN_TREE and node != NODES[0]:
        host.load(host.IN_TREE, NODES[0])
    host.load(module, node)


def unload(module, _node):
    """Nobody is left who holds it."""
    for name in {module, host.IN_TREE}:
        if os.path.isdir(f"/sys/module/{name}"):
            host.unload(name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--module", default="vhx_net")
    parser.add_argument("--only", default="")
    parser.add_argument("nodes", nargs="*")
    opts = parser.parse_args()
    nodes = opts.nodes or NODES[:1 if opts.module == host.IN_TREE else 2]
    host.modprobe_kvm()
    print("KTAP version 1")
    libvirt = Libvirt()
    try:
        run_case("libvirt.network_starts_ok", make_links, libvirt)
        for node in nodes:
            serve(opts.module, node)
            cases(libvirt, node, opts.only)
            run_case(f"libvirt.{os.path.basename(node)}.module_unloads_ok", unload,
                     opts.module, node)
    finally:
        libvirt.end()
        if Count.failed or not Count.done:
            print(libvirt.tail())
    if Guest.retries:
        log(f"{Guest.retries} retries after a guest fell silent")
    print(f"1..{Count.done}")
    return Count.failed > 0


if __name__ == "__main__":
    sys.exit(main())
