#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Real guests on vhx-switch: KTAP on stdout.

usage: guests.py [--demo] [--only PATTERN] [--migrations N] SWITCH [QEMU QEMU]

Runs on the machine itself, under TCG: no module and no KVM is needed.
VHX_GUEST_VMLINUX and VHX_GUEST_INITRD name kernel and initramfs of the guests, as
vm fetch and vm initramfs make them. A guest keeps a socket to the switch; they have
two queue pairs, the second of packed rings. QEMU is this machine's, or 10.0
or 11.1, in roots of vm root. --demo shows a ping, iperf3 and the switch's counters,
--only selects cases; --only migrate_ok --migrations 20 is a search for what goes
wrong now and then.
"""
import argparse
import glob
import json
import mmap
import os
import re
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../vm"))
import host  # noqa: E402
from cases import queue_counts  # noqa: E402
from guest import Guest, GuestError, Net  # noqa: E402
from bench import SERVER, Suite, log  # noqa: E402
from switch import Switch  # noqa: E402

MAC = "52:54:00:77:01:{:02x}"
PACKED = 34                         # VIRTIO_F_RING_PACKED
PLATFORM = 33                       # VIRTIO_F_ACCESS_PLATFORM
SIZE = 4 << 20                      # bytes of a file
MEM = "196600K"                     # no multiple of 256K: vm/README.rst says why


def memory(guest):
    """A guest's, to read."""
    for path in glob.glob(f"/proc/{guest.pid}/fd/*"):
        if "memory-backend-memfd" in os.path.realpath(path):
            with open(path, "rb") as file:
                return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    raise GuestError("it has no memfd")


def pages_lost(old, new):
    """Numbers of pages that differ between a guest that was and one that is to
    be: whoever wrote there, vCPU or switch, has not had it sent."""
    was, will = memory(old), memory(new)
    part, page = 1 << 20, 1 << 12
    return [at // page for start in range(0, len(was), part)
            if was[start:start + part] != will[start:start + part]
            for at in range(start, min(start + part, len(was)), page)
            if was[at:at + page] != will[at:at + page]]


class Set:
    """Guests 0 and 1, and the switch between them."""

    def __init__(self, program, folder, qemus):
        self.switch = Switch(program, folder)
        self.guests = []
        self.free = "d"             # the port that guest 1 can move to
        self.qemus = [host.qemu(version) for version in qemus or ("", "")]

    def guest(self, index, socket, machine="q35", device="", queues=1,
              incoming=None, is_server=False):
        net = Net("", MAC.format(index), f"10.77.1.{index + 1}/24",
                  user=socket, device=device, queues=queues,
                  is_server=is_server)
        guest = Guest([net], accel="tcg", machine=machine, log=log, mem=MEM,
                      name=f"guest{index}", cpus=queues, incoming=incoming,
                      is_held=bool(incoming))
        guest.qemu = self.qemus[index % 2]
        return guest

    @staticmethod
    def addr(index):
        return f"10.77.1.{index + 1}"

    def start(self):
        path = self.switch.path
        self.switch.start(f"vhost-user,name=a,path={path('a')},queues=2",
                          f"vhost-user,name=b,path={path('b')},queues=2",
                          f"vhost-user,name=c,client,path={path('c')}",
                          f"vhost-user,name=d,path={path('d')},queues=2")
        self.guests = [self.guest(0, path("a"), queues=2),
                       self.guest(1, path("b"), queues=2, device="packed=on")]
        for guest in self.guests:
            guest.start()
        bits = self.guests[1].check("cat /sys/class/net/eth0/device/features")
        if bits[PACKED] != "1":
            raise GuestError("packed rings were not negotiated")

    def ping(self, count=5):
        out = self.guests[0].check(f"ping -c {count} -i 0.2 -W 10 10.77.1.2", 120)
        if " 0% packet loss" not in out:
            raise GuestError(out)
        return out.splitlines()[-1]

    def wait_ping(self):
        status, out = self.guests[0].run(
            "n=0; until ping -c 1 -W 2 10.77.1.2; do n=$((n + 1)); "
            "[ $n -lt 30 ] || exit 1; done", 120)
        if status != 0:
            self.tell()
            raise GuestError(f"no answer in 60 s: {out}")

    def tell(self):
        """Where frames got to, for one who looks for those that got lost."""
        for what in ("ports", "macs", "drops"):
            told = self.switch.ask("show", what).stdout
            log(told.strip().replace("\n", "\n# "))
        for guest in self.guests:
            _, out = guest.run("cat /proc/interrupts /proc/net/arp /proc/net/dev")
            log(f"{guest.name}:\n{out.strip()}".replace("\n", "\n# "))

    def tcp(self, *options):
        self.guests[1].check(SERVER, 60)
        out = json.loads(self.guests[0].check(
            "iperf3 -J -t 1 -c 10.77.1.2 " + " ".join(options), 120))
        rate = out["end"]["sum_received"]["bits_per_second"] / 1e6
        if rate <= 0:
            raise GuestError("nothing arrived")
        return f"{rate:.1f} Mbit/s"

    def file(self, source=1, to=None, size=SIZE):
        """A file from one to the other, by hash."""
        to = 1 - source if to is None else to
        guest = self.guests[source]
        guest.check("pidof httpd >/dev/null || httpd -h /tmp -p 80", 30)
        want = guest.check(f"head -c {size} /dev/urandom >/tmp/r && "
                           "sha256sum /tmp/r", 120).split()[0]
        got = self.guests[to].check(
            f"wget -q -O /tmp/in http://{self.addr(source)}/r && "
            "sha256sum /tmp/in && rm /tmp/in", 240).split()[0]
        if got != want:
            raise GuestError(f"sha256 {got}, not {want}")
        return f"{size} bytes"

    def counters(self):
        """What the switch says of what went through."""
        before = self.switch.ports()
        self.ping(10)
        after = self.switch.ports()
        for name in "ab":
            for way in ("rx", "tx"):
                if after[name][way] - before[name][way] < 10:
                    raise GuestError(f"{name} {way}: {before} {after}")
        macs = self.switch.ask("show", "macs").stdout
        for index, name in ((0, "a"), (1, "b")):
            if not any(line.split()[0] == MAC.format(index) and
                       line.split()[-1] == name
                       for line in macs.splitlines() if line):
                raise GuestError(macs)
        return f"a: {after['a']['rx']} in, {after['a']['tx']} out"

    def both_pairs(self):
        """A CPU sends on its own queue, and the switch gives to a pair by the
        sender's address; down to one pair and up again. Without MSI-X a guest
        does not know by which queue it received."""
        guest, moved = self.guests[0], {}
        for num in (2, 1, 2):
            guest.check(f"ethtool -L eth0 combined {num}", 60)
            before = queue_counts(guest)
            guest.check("for cpu in 1 2; do taskset $cpu ping -q -c 10 -i 0.1 "
                        "10.77.1.2 || exit; done", 60)
            for mac in (MAC.format(4), MAC.format(1)):
                self.guests[1].check(
                    f"ip link set eth0 address {mac} && arp -d {self.addr(0)}; "
                    f"ping -q -c 10 -i 0.1 {self.addr(0)}", 60)
            after = queue_counts(guest)
            moved = {name: after[name] - before[name] for name in after
                     if int(name[2:]) < num}
            if min(moved.values()) < 5:
                raise GuestError(f"{num} pairs: {before} {after}")
            self.file(1 - num % 2)
        return f"kicks and interrupts {moved}"

    def pairs_change(self):
        """A pair comes and goes while frames arrive that are meant for it."""
        guest, peer = self.guests
        peer.check(f"ip link set eth0 address {MAC.format(4)}; "
                   f"arp -d {self.addr(0)}; ping -q -c 300 -i 0.02 "
                   f"{self.addr(0)} >/tmp/ping 2>&1 &", 60)
        for num in (1, 2) * 3:
            guest.check(f"ethtool -L eth0 combined {num}", 60)
        out = peer.check("while pidof ping >/dev/null; do sleep 0.2; done; "
                         "cat /tmp/ping; ip link set eth0 address " +
                         MAC.format(1), 120)
        got = int(re.search(r"(\d+) packets received", out).group(1))
        self.wait_ping()
        self.ping()
        if got < 200:
            raise GuestError(out)
        return f"{got} of 300"

    def rings_resized(self):
        """No message tells a back-end of it: the guest is not offered to."""
        self.guests[0].run("ethtool -G eth0 rx 64 tx 64", 60)
        self.ping()
        self.file(0)

    def reset(self):
        self.guests[1].reset()
        self.wait_ping()
        self.file()

    def switch_killed(self):
        """QEMU comes back to a new switch. Of packed rings nobody can say where
        they were: that guest resets."""
        self.switch.kill()
        self.switch.start()
        self.switch.wait(lambda ports: ports["a"]["up"])
        self.guests[1].reset()
        self.wait_ping()
        self.file(0)

    def qemu_listens(self):
        """The switch comes to a QEMU that listens, and comes again."""
        guest = self.guest(2, self.switch.path("c"), is_server=True)
        try:
            guest.start()
            self.switch.wait(lambda ports: ports["c"]["up"])
            guest.check("ping -c 3 -W 10 10.77.1.1", 60)
            self.switch.kill()
            self.switch.start()
            self.switch.wait(lambda ports: ports["c"]["up"] and
                             ports["a"]["up"])
            guest.check("n=0; until ping -c 1 -W 2 10.77.1.1; do n=$((n+1)); "
                        "[ $n -lt 30 ] || exit 1; done", 120)
        finally:
            guest.stop()
        self.guests[1].reset()
        self.wait_ping()

    def migrate(self, times=1):
        """The guest with packed rings moves to another port, back, and so on."""
        return ", ".join(self.move() for _ in range(times))

    def move(self):
        """Under traffic; all that was written there has to come along."""
        old = self.guests[1]
        path = os.path.join(old.dir, "migration")
        new = self.guest(1, self.switch.path(self.free), queues=2,
                         device="packed=on", incoming=f"unix:{path}")
        deadline = time.monotonic() + 120
        new.launch(deadline)
        self.guests[0].check("ping -q -i 0.01 -s 1200 10.77.1.2 >/dev/null 2>&1 &")
        old.qmp("migrate-set-parameters",
                **{"max-bandwidth": 1 << 30, "downtime-limit": 1000})
        old.qmp("migrate", uri=f"unix:{path}")
        while (status := old.qmp("query-migrate"))["status"] != "completed":
            if status["status"] in ("failed", "cancelled") or \
                    time.monotonic() > deadline:
                new.stop()
                raise GuestError(str(status))
            time.sleep(0.1)
        while new.qmp("query-status")["status"] == "inmigrate":
            time.sleep(0.1)
        lost = pages_lost(old, new)
        new.qmp("cont")
        new.boot_id, new.count = old.boot_id, old.count
        self.guests[1] = new
        self.free = "b" if self.free == "d" else "d"
        old.stop()
        if lost:
            raise GuestError(f"pages that were not sent: {lost}")
        self.guests[0].check("killall ping")
        self.wait_ping()
        self.file()
        return f"down {status['downtime']} ms"

    def viommu(self):
        """A guest behind intel-iommu, strict: each buffer's translation is asked
        for, and frames wait for it in the switch."""
        guest = self.guest(2, self.switch.path(self.free), machine="viommu",
                           device="disable-legacy=on,iommu_platform=on,ats=on,"
                                  "packed=on")
        self.guests.append(guest)
        try:
            guest.start()
            bits = guest.check("cat /sys/class/net/eth0/device/features")
            if bits[PLATFORM] != "1" or bits[PACKED] != "1":
                raise GuestError(f"features {bits}")
            self.file(2, 0, SIZE // 16)
            guest.reset()
            self.file(0, 2, SIZE // 16)
            port = self.switch.ports()[self.free]
        finally:
            self.guests.pop().stop()
        return f"{port['tx']} in, {port['rx']} out, {port['drop_full']} dropped"

    def peer_killed(self):
        """A guest that is gone is a port that is down, and no more."""
        self.guests[1].kill()
        self.switch.wait(lambda ports: not ports["b"]["up"] and
                         not ports["d"]["up"] and ports["a"]["up"])

    def ends_in_order(self):
        if self.switch.stop() != 0 or os.path.exists(self.switch.path("a")):
            raise GuestError("a status, or a socket that was left")

    def stop(self):
        for guest in self.guests:
            guest.stop()
        self.switch.stop()


def demo(both):
    both.start()
    print(both.guests[0].check("ping -c 5 -W 10 10.77.1.2", 120))
    for option, way in ((), "guest a to b"), (("-R",), "guest b to a"):
        print(f"iperf3, {way}: {both.tcp(*option)}")
    print("\nvhx-switch ctl show ports")
    print(both.switch.ask("show", "ports").stdout)
    print("vhx-switch ctl show macs")
    print(both.switch.ask("show", "macs").stdout, flush=True)
    return 0


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--only")
    parser.add_argument("--migrations", type=int, default=1)
    parser.add_argument("switch")
    parser.add_argument("qemus", nargs="*")
    return parser.parse_args()


def main():
    opts = options()
    folder = tempfile.mkdtemp(prefix="vhx-switch-")
    both = Set(os.path.abspath(opts.switch), folder, opts.qemus)
    try:
        return demo(both) if opts.demo else test(both, opts)
    finally:
        both.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test(both, opts):
    suite = Suite("-".join(["switch", *opts.qemus]), opts.only)
    print("KTAP version 1", flush=True)
    if suite.case("boot_ok", both.start):
        for name, case, *args in (
                ("ping_ok", both.ping), ("tcp_ok", both.tcp),
                ("tcp_back_ok", both.tcp, "-R"), ("file_ok", both.file),
                ("file_back_ok", both.file, 0),
                ("counters_ok", both.counters),
                ("both_pairs_ok", both.both_pairs),
                ("pairs_change_under_traffic_ok", both.pairs_change),
                ("rings_resized_ok", both.rings_resized),
                ("guest_reset_ok", both.reset),
                ("switch_killed_guests_return_ok", both.switch_killed),
                ("qemu_listens_ok", both.qemu_listens),
                ("migrate_ok", both.migrate, opts.migrations),
                ("viommu_ok", both.viommu),
                ("peer_killed_port_down_ok", both.peer_killed),
                ("ends_in_order_ok", both.ends_in_order)):
            suite.case(name, case, *args)
    return not suite.end()


if __name__ == "__main__":
    sys.exit(main())
