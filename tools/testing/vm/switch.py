# SPDX-License-Identifier: GPL-2.0-only
"""Guests on vhx-switch: by its CUSE nodes, its sockets, and vhost-net's taps."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import cases
import host
import testpmd
from bench import MAC
from guest import GuestError, Net

PACKED = 34                         # VIRTIO_F_RING_PACKED
TAP = "vhxsw0"                      # the switch's port on the host's bridge
CUSE, CUSE_SPLIT, NET, USER = range(4)      # guests; the first has packed rings


class Switch:
    """One vhx-switch, its sockets in a folder."""

    def __init__(self, program, folder, *options):
        self.program, self.dir, self.proc = program, folder, None
        self.options = options
        self.ctl_path = os.path.join(folder, "ctl")
        self.specs = []

    def path(self, name):
        return os.path.join(self.dir, name + ".sock")

    def start(self, *specs):
        self.specs = list(specs) or self.specs
        ports = [word for spec in self.specs for word in ("--port", spec)]
        self.proc = subprocess.Popen([self.program, "--ctl", self.ctl_path,
                                      "--verbose", *self.options, *ports],
                                     stdin=subprocess.DEVNULL,
                                     stdout=sys.stderr, stderr=sys.stderr)
        deadline = time.monotonic() + 10
        while self.ask("show", "ports").returncode:
            if self.proc.poll() is not None or time.monotonic() > deadline:
                raise GuestError("vhx-switch does not answer")
            time.sleep(0.05)

    def ask(self, *words):
        return subprocess.run([self.program, "--ctl", self.ctl_path, "ctl",
                               *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=20)

    def ports(self):
        out = self.ask("show", "ports", "--json").stdout
        return {port["name"]: port for port in json.loads(out)}

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def stop(self):
        if self.proc and self.proc.poll() is None:
            self.proc.terminate()
            return self.proc.wait(10)
        return 0

    def wait(self, what, secs=60):
        deadline = time.monotonic() + secs
        while not what(self.ports()):
            if time.monotonic() > deadline:
                raise GuestError(f"waited for ports: {self.ports()}")
            time.sleep(0.1)


class Rack:
    """vhx-switch, a port of it on the host's bridge, and guests on others."""

    def __init__(self, bench, *specs):
        self.bench = bench
        self.dir = tempfile.mkdtemp(prefix="vhx-switch-")
        # what a guest leaves to a tap with vnet_hdr it leaves to the switch
        self.switch = Switch(bench.opts.switch, self.dir, "--offload")
        self.specs = [f"tap,name=host,ifname={TAP}",
                      *(spec.format(folder=self.dir) for spec in specs)]
        self.nodes = [spec.split("=")[1] for spec in specs
                      if spec.startswith("cuse,")]

    def __enter__(self):
        host.sh("modprobe", "-a", "tun", "cuse")
        host.make_tap(TAP)
        return self

    def __exit__(self, *exc):
        self.bench.stop()
        self.switch.stop()
        host.drop_tap(TAP)
        shutil.rmtree(self.dir)

    def start(self):
        """The nodes come up after the switch's first answer."""
        self.switch.start(*self.specs)
        self.wait(lambda: all(map(host.is_node, self.paths())), "no node")

    def paths(self):
        return ["/dev/" + name for name in self.nodes]

    @staticmethod
    def wait(is_so, what, secs=10):
        deadline = time.monotonic() + secs
        while not is_so():
            if time.monotonic() > deadline:
                raise host.HostError(what)
            time.sleep(0.05)

    def wait_ping(self, source, to):
        """Until a guest that comes back answers another, or asks it."""
        ping = f"ping -c 1 -W 2 {self.bench.addr(to)}"
        self.wait(lambda: not self.bench.guests[source].run(ping)[0], ping, 60)

    def add_node(self, name, device=""):
        """A guest whose vhostfd is a node of the switch's; its tap is a name."""
        guest = self.bench.add(node="/dev/" + name, vhostfd=True, device=device)
        guest.is_shared = True
        host.sh("ip", "link", "set", guest.nets[0].tap, "nomaster")

    def add_socket(self, name):
        bench, index = self.bench, len(self.bench.guests)
        bench.guests.append(bench.guest(index, [
            Net("", MAC.format(index + 2), bench.addr(index) + "/24",
                user=self.switch.path(name))]))


def comes_and_goes(rack):
    """A port that is a node, while others run; and what none can be."""
    ask = rack.switch.ask
    if ask("add", "cuse,node=vhx-c").returncode:
        raise host.HostError("not added")
    rack.wait(lambda: host.is_node("/dev/vhx-c"), "no node")
    for spec, word in (("cuse,name=d,node=vhx-c", "File exists"),
                       ("cuse,node=vhx/d", "without a folder"),
                       ("cuse,node=vhx-d,queues=2", "for vhost-user"),
                       ("cuse", "needs node=")):
        done = ask("add", spec)
        if not done.returncode or word not in done.stderr:
            raise host.HostError(f"{spec}: {done.returncode} {done.stderr}")
    if ask("del", "vhx-c").returncode:
        raise host.HostError("not removed")
    rack.wait(lambda: not os.path.exists("/dev/vhx-c"), "still there")


def worker_seen(rack):
    """The vhost node's guest is served by the kernel's worker."""
    pid = rack.bench.guests[NET].pid
    before = sum(host.workers(pid).values())
    host.ping(rack.bench.addr(NET))
    if sum(host.workers(pid).values()) <= before:
        raise host.HostError(f"vhost-{pid} was not there, or stood still")


def counters(rack, source, to, ports):
    """What the switch says of what went through: frames, and who is where."""
    before = rack.switch.ports()
    cases.ping_guest(rack.bench, source, to)
    after = rack.switch.ports()
    grown = {(port, way): after[port][way] - before[port][way]
             for port in ports for way in ("rx", "tx")}
    if min(grown.values()) < 4:
        raise host.HostError(f"frames: {grown}")
    bad = {(port, what): after[port].get(what, 0) for port in ports
           for what in ("errors", "drop_bad", "drop_full")}
    if any(bad.values()):
        raise host.HostError(str(bad))
    macs = dict(line.split()[::3] for line in
                rack.switch.ask("show", "macs").stdout.splitlines()[1:])
    for index, port in zip((source, to), ports):
        if macs.get(MAC.format(index + 2)) != port:
            raise host.HostError(f"{macs}")
    return str(grown)


def pair(rack, case, name, a, b, ports):
    """What two guests do to each other, both ways."""
    bench = rack.bench
    case(name + "_ping_and_counters_ok", counters, rack, a, b, ports)
    case(name + "_tcp_ok", cases.tcp_guest_guest, bench, a, b)
    case(name + "_tcp_back_ok", cases.tcp_guest_guest, bench, b, a)
    case(name + "_file_ok", cases.file_guest_guest, bench, a, b)
    case(name + "_file_back_ok", cases.file_guest_guest, bench, b, a)


def reset(rack, index, other):
    """A guest's reset while frames come to it by the switch."""
    bench, guest = rack.bench, rack.bench.guests[index]
    with host.Flood(bench.addr(index)):
        guest.reset()
    bench.serve(guest)
    rack.wait_ping(other, index)
    cases.file_guest_guest(bench, index, other)


def guest_killed(rack, index, port):
    """SIGKILL of QEMU: its port is down, the others serve on."""
    rack.bench.guests[index].kill()
    rack.switch.wait(lambda ports: not ports[port]["up"], 10)
    cases.ping_guest(rack.bench, CUSE, NET)


def switch_killed(rack):
    """SIGKILL of the switch. A node goes, and what QEMU has open is dead: the guest
    runs on, without a network, until QEMU asks the node for something and ends
    itself, as <vhx/cuse.h> says. The next switch has the other ports again, and
    keeps them; its nodes answer."""
    bench, dead = rack.bench, rack.bench.guests[CUSE]
    rack.switch.kill()
    rack.wait(lambda: not any(map(os.path.exists, rack.paths())), "a node")
    rack.start()
    rack.wait_ping(USER, NET)
    if not dead.run(f"ping -c 2 -W 1 {bench.addr(NET)}")[0]:
        raise host.HostError("frames go by a node that is gone")
    with contextlib.suppress(OSError, GuestError):
        dead.qmp("system_reset")
    status = dead.proc.wait(30)
    said = dead.read("qemu.txt")
    if status != -signal.SIGABRT or "vhost_net_stop" not in said:
        raise host.HostError(f"QEMU: {status} {said}")
    cases.file_guest_guest(bench, USER, NET)
    cases.file_guest_guest(bench, NET, USER)
    for path in rack.paths():
        if not testpmd.offered(path) >> PACKED & 1:
            raise host.HostError(f"{path} does not offer packed rings")


def ends_in_order(rack):
    for guest in rack.bench.guests:
        guest.stop()
    status = rack.switch.stop()
    left = [path for path in (*rack.paths(), rack.switch.ctl_path,
                              rack.switch.path("c")) if os.path.exists(path)]
    if status or left:
        raise host.HostError(f"status {status}, left: {left}")


def run(rack, case):
    bench = rack.bench
    if not case("starts_ok", rack.start):
        return
    case("cuse_port_comes_and_goes_ok", comes_and_goes, rack)
    rack.add_node("vhx-a", "packed=on")
    rack.add_node("vhx-b")
    bench.add()
    rack.add_socket("c")
    if not case("boot_ok", bench.start):
        return
    case("cuse_packed_features_ok", cases.features_on, bench, PACKED)
    pair(rack, case, "cuse", CUSE, CUSE_SPLIT, ("vhx-a", "vhx-b"))
    case("mixed_worker_seen_ok", worker_seen, rack)
    pair(rack, case, "mixed_cuse", CUSE, NET, ("vhx-a", "host"))
    case("mixed_user_ping_and_counters_ok", counters, rack, USER, NET,
         ("c", "host"))
    case("mixed_reset_under_traffic_ok", reset, rack, CUSE, NET)
    case("cuse_guest_killed_port_down_ok", guest_killed, rack, CUSE_SPLIT,
         "vhx-b")
    case("switch_killed_others_return_ok", switch_killed, rack)
    case("ends_in_order_ok", ends_in_order, rack)


def group(bench, case):
    """Two guests on CUSE nodes of the switch, one on a socket of it, and one on
    the vhost node, with its tap on the bridge that the switch's is on."""
    with Rack(bench, "cuse,node=vhx-a", "cuse,node=vhx-b",
              "vhost-user,name=c,path={folder}/c.sock") as rack:
        run(rack, case)
