#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Real guests through a vhost node: KTAP on stdout.

Runs in L1: vm run -g 6.12 6.1 -- tools/testing/vm/guests.py --module vhost_net
Names are guest.<variant>.<behaviour>, the last word is the outcome.
"""
import argparse
import os
import re
import subprocess
import sys
import time
import traceback

import host
from guest import Guest, GuestError, Net
from hits import Path

MAC = "52:54:00:77:00:{:02x}"
RING_RESET = 40                     # VIRTIO_F_RING_RESET


# A fresh iperf3 server that listens when this returns: between two tests one
# closes its port for a moment, which under emulation is long.
SERVER = ("killall -q iperf3; iperf3 -s -D; "
          "until grep -q ':1451 .* 0A ' /proc/net/tcp*; do sleep 0.1; done")


class Skip(Exception):
    """The reason why a test could not be tried."""


def log(text):
    print(f"# {text}", flush=True)


class Suite:
    """Runs cases, prints KTAP, counts."""

    def __init__(self, variant, only):
        self.variant, self.only = variant, only
        self.done = self.failed = self.skipped = 0

    def case(self, name, func, *args):
        """One test.  What func returns is a remark, an exception a failure.

        False after a failure, so that what builds on it is not tried."""
        name = f"guest.{self.variant}.{name}"
        if self.only and not re.search(self.only, name) \
                and not name.endswith("boot_ok"):
            return True
        self.done += 1
        began = time.monotonic()
        try:
            remark = func(*args)
        except Skip as why:
            self.skipped += 1
            print(f"ok {self.done} {name} # SKIP {why}", flush=True)
            return True
        except Exception as err:    # pylint: disable=broad-except
            self.failed += 1
            if not isinstance(err, (GuestError, host.HostError)):
                log(traceback.format_exc().replace("\n", "\n# "))
            log(f"{type(err).__name__}: {err}")
            print(f"not ok {self.done} {name}", flush=True)
            return False
        if remark is not None:
            log(f"{name}: {remark}")
        log(f"{name}: {time.monotonic() - began:.1f} s")
        print(f"ok {self.done} {name}", flush=True)
        return True


class Bench:
    """What the cases share: options, and the guests of one set-up."""

    def __init__(self, opts):
        self.opts = opts
        self.secs = 2 if opts.accel == "kvm" else 5
        self.size = (4 << 20) if opts.accel == "kvm" else (1 << 20)
        self.slow = host.SLOW
        self.guests = []
        self.taps = []

    def net(self, index, **options):
        """A tap on the bridge and the device on it."""
        tap = f"vhxtap{index}"
        host.make_tap(tap, options.get("queues", 1))
        self.taps.append(tap)
        return Net(tap, MAC.format(index + 2), self.addr(index) + "/24",
                   node=self.opts.node, vhostfd=self.opts.vhostfd, **options)

    @staticmethod
    def addr(index):
        return f"10.77.0.{index + 2}"

    def add(self, cpus=1, machine=None, **options):
        index = len(self.guests)
        snapshot = None
        if self.opts.accel == "tcg" and cpus == 1 and not options:
            snapshot = os.environ.get("VHX_GUEST_SNAPSHOT")
        guest = Guest([self.net(index, **options)], accel=self.opts.accel,
                      machine=machine, name=f"guest{index}", cpus=cpus,
                      log=log, snapshot=snapshot)
        self.guests.append(guest)
        return guest

    def start(self):
        """The guests one by one: two that boot at once hang each other under
        KVM of 7.x on emulated SVM; then the servers that the cases use."""
        for index, guest in enumerate(self.guests):
            guest.start()
            self.serve(guest)
            host.wait_ping(self.addr(index))
        return ", ".join(g.release for g in self.guests)

    def serve(self, guest):
        guest.check(f"httpd -h /tmp -p 80; {SERVER}", 30 * self.slow)

    def stop(self):
        for guest in self.guests:
            guest.stop()
        for tap in self.taps:
            host.drop_tap(tap)
        self.guests, self.taps = [], []


# -- the cases -------------------------------------------------------------

def worker_seen(bench):
    """A vhost-<pid> thread, its CPU time grows with traffic, QEMU holds the
    node open: the kernel path is in use."""
    guest = bench.guests[0]
    before = host.workers(guest.pid)
    if not before:
        raise host.HostError(f"no thread vhost-{guest.pid}")
    fds = host.node_fds(guest.pid, bench.opts.node)
    if fds < guest.nets[0].queues:
        raise host.HostError(f"{fds} descriptors of QEMU on {bench.opts.node}")
    host.ping(bench.addr(0))
    after = host.workers(guest.pid)
    grown = sum(after.values()) - sum(before.values())
    if grown <= 0:
        raise host.HostError("its CPU time stood still during a ping")
    return f"vhost-{guest.pid} ×{len(after)}, +{grown / 1e6:.1f} ms, {fds} fd"


def kicks_and_calls(bench):
    """The guest's kicks and the device's calls, counted during a ping."""
    count = 5
    with Path(bench.opts.accel) as path:
        host.ping(bench.addr(0), count)
    if path.kicks is None or path.calls is None:
        raise Skip(f"functions cannot be traced: {path.hits.counts}")
    # each answer is a kick; each request or completed answer wants a call
    if path.kicks < count or path.calls < 1:
        raise host.HostError(f"{count} pings: {path.hits.counts}")
    return f"{count} pings: {path.kicks} kicks, {path.calls} calls"


def ping_host(bench):
    small = host.ping(bench.addr(0))
    large = host.ping(bench.addr(0), size=20000)
    return f"{small:.1f} ms, of 20000 bytes {large:.1f} ms"


def ping_guest(bench):
    out = bench.guests[0].check(f"ping -c 4 -W 5 {bench.addr(1)}", 40)
    if " 0% packet loss" not in out:
        raise host.HostError(out)


def tcp(bench, *options):
    bench.guests[0].check(SERVER, 30 * bench.slow)
    rate = host.mbits(host.iperf(bench.addr(0), bench.secs, *options))
    if rate <= 0:
        raise host.HostError("nothing arrived")
    return f"{rate:.0f} Mbit/s"


def udp(bench, *options):
    """At a rate that two emulated CPUs carry, most must arrive."""
    rate = "2M" if bench.opts.accel == "kvm" else "200K"
    bench.guests[0].check(SERVER, 30 * bench.slow)
    end = host.iperf(bench.addr(0), bench.secs, "-u", "-b", rate,
                     "-l", "1400", *options)
    total = end["sum"]
    lost = total["lost_percent"]
    if total["packets"] < 10 or lost > 20:
        raise host.HostError(f"{total['packets']} sent, {lost:.0f} % lost")
    return f"{total['packets']} datagrams, {lost:.1f} % lost"


def tcp_guest_guest(bench):
    bench.guests[1].check(SERVER, 30 * bench.slow)
    out = bench.guests[0].check(
        f"iperf3 -c {bench.addr(1)} -t {bench.secs} -J", 60 * bench.slow)
    return f"{host.mbits(host.iperf_end(out)):.0f} Mbit/s"


def same(what, got, want):
    if got != want:
        raise host.HostError(f"{what}: sha256 {got}, not {want}")


def file_to_guest(bench):
    server = host.FileServer(bench.size)
    try:
        out = bench.guests[0].check(
            f"wget -q -O /tmp/in {server.url} && sha256sum /tmp/in && rm /tmp/in",
            60 * bench.slow)
    finally:
        server.close()
    same("host to guest", out.split()[0], server.sha256)
    return f"{bench.size} bytes"


def random_file(bench, guest):
    out = guest.check(f"head -c {bench.size} /dev/urandom >/tmp/r && "
                      "sha256sum /tmp/r", 60 * bench.slow)
    return out.split()[0]


def file_from_guest(bench):
    want = random_file(bench, bench.guests[0])
    url = f"http://{bench.addr(0)}/r"
    same("guest to host", host.fetch_sha256(url, 60 * bench.slow), want)
    return f"{bench.size} bytes"


def file_guest_guest(bench):
    want = random_file(bench, bench.guests[1])
    out = bench.guests[0].check(
        f"wget -q -O /tmp/in http://{bench.addr(1)}/r && sha256sum /tmp/in",
        60 * bench.slow)
    same("guest to guest", out.split()[0], want)
    return f"{bench.size} bytes"


def works_again(bench, guest):
    """After a disturbance both directions still carry bulk data."""
    host.wait_ping(bench.addr(0), 60)
    host.ping(bench.addr(0), 3)
    file_from_guest(bench)
    file_to_guest(bench)
    assert guest is bench.guests[0]


UNBIND = """
dev=$(basename $(readlink -f /sys/class/net/eth0/device))
drv=/sys/bus/virtio/drivers/virtio_net
echo $dev >$drv/unbind || exit
[ ! -e /sys/class/net/eth0 ] || exit 9
echo $dev >$drv/bind && netup
"""


def unbind(bench):
    guest = bench.guests[0]
    with host.Flood(bench.addr(0)):
        for _ in range(3):
            time.sleep(0.5)
            guest.check(UNBIND, 60 * bench.slow)
            host.wait_ping(bench.addr(0), 30 * bench.slow)
    works_again(bench, guest)


def queue_reset(bench):
    """ethtool -G resets single queues where VIRTIO_F_RING_RESET is on."""
    guest = bench.guests[0]
    bits = guest.check("cat /sys/class/net/eth0/device/features").strip()
    if bits[RING_RESET] != "1":
        raise Skip("VIRTIO_F_RING_RESET was not negotiated: the node or QEMU "
                   "does not offer it")
    with host.Flood(bench.addr(0)):
        for num in (64, 128, 256):
            guest.check(f"ethtool -G eth0 rx {num} tx {num}", 40 * bench.slow)
            out = guest.check("ethtool -g eth0").split("Current")[1]
            sizes = re.findall(r"^[RT]X:\s*(\d+)", out, re.M)
            if sizes != [str(num)] * 2:
                raise host.HostError(f"asked for {num}: {sizes}")
            host.wait_ping(bench.addr(0), 30 * bench.slow)
    works_again(bench, guest)


def reset(bench):
    guest = bench.guests[0]
    with host.Flood(bench.addr(0)):
        time.sleep(1)
        began = time.monotonic()
        guest.reset()
        took = time.monotonic() - began
    bench.serve(guest)
    works_again(bench, guest)
    return f"back after {took:.0f} s"


def queue_counts(guest):
    """What each queue moved: packets where the driver counts them by queue
    (before 6.8), else kicks for tx and interrupts for rx."""
    text = guest.check("ethtool -S eth0; cat /proc/interrupts")
    moved = {}
    for cpus, queue in re.findall(r"\d+: ([ \d]+).*virtio\d+-input\.(\d+)",
                                  text):
        moved[f"rx{queue}"] = sum(map(int, cpus.split()))
    for unit in ("kicks", "packets"):
        for way, queue, num in re.findall(
                rf"([rt]x)_?(?:queue_)?(\d+)_{unit}: (\d+)", text):
            if unit == "packets" or way == "tx":
                moved[f"{way}{queue}"] = int(num)
    return moved


def both_queues(bench):
    """Streams, then pings from each CPU: a CPU sends on its own queue, and
    the tap answers on the queue that the flow was last seen on."""
    guest = bench.guests[0]
    host.iperf(bench.addr(0), bench.secs, "-P", "4")
    before = queue_counts(guest)
    guest.check("for cpu in 1 2; do taskset $cpu ping -q -c 20 -i 0.05 "
                f"{host.ADDR} || exit; done", 60)
    moved = queue_counts(guest)
    idle = [f"{way}{queue}" for way in ("rx", "tx")
            for queue in range(guest.nets[0].queues)
            if moved.get(f"{way}{queue}", 0) -
            before.get(f"{way}{queue}", 0) < 10]
    if idle:
        raise host.HostError(f"idle: {idle}; {moved}")
    return str(moved)


def workers_per_queue(bench):
    guest = bench.guests[0]
    seen = host.workers(guest.pid)
    if len(seen) != 2 or min(seen.values()) <= 0:
        raise host.HostError(f"workers: {seen}")
    return str(seen)


def change_queues(bench):
    """ethtool -L down to one pair and back, under traffic."""
    guest = bench.guests[0]
    with host.Flood(bench.addr(0)):
        for num in (1, 2):
            guest.check(f"ethtool -L eth0 combined {num}", 40 * bench.slow)
            host.wait_ping(bench.addr(0), 30 * bench.slow)
    works_again(bench, guest)


def features_off(bench, *bits):
    """The variant is what it says: these bits were not negotiated."""
    text = bench.guests[0].check("cat /sys/class/net/eth0/device/features")
    on = [bit for bit in bits if text[bit] == "1"]
    if on:
        raise host.HostError(f"feature bits {on} are on")


def owner_killed(bench):
    """SIGKILL of QEMU under traffic: its worker ends, the node serves on."""
    guest = bench.guests[0]
    pid = guest.pid
    with host.Flood(bench.addr(0)):
        time.sleep(0.5)
        guest.kill()
    deadline = time.monotonic() + 10
    while workers_of_dead(pid):
        if time.monotonic() > deadline:
            raise host.HostError(f"vhost-{pid} is still there")
        time.sleep(0.1)
    guest.boot_id = ""
    guest.start()
    bench.serve(guest)
    works_again(bench, guest)


def workers_of_dead(pid):
    return subprocess.run(["pgrep", "-x", f"vhost-{pid}"], check=False,
                          stdout=subprocess.DEVNULL).returncode == 0


# -- set-ups ---------------------------------------------------------------

TRAFFIC = (
    ("ping_host_ok", ping_host),
    ("tcp_to_guest_ok", tcp),
    ("tcp_from_guest_ok", tcp, "-R"),
    ("file_to_guest_ok", file_to_guest),
    ("file_from_guest_ok", file_from_guest),
)


def group_pair(bench, case):
    bench.add()
    bench.add()
    if not case("boot_ok", bench.start):
        return
    case("worker_seen_ok", worker_seen, bench)
    case("kicks_and_calls_ok", kicks_and_calls, bench)
    for name, func, *args in TRAFFIC:
        case(name, func, bench, *args)
    case("udp_to_guest_ok", udp, bench)
    case("udp_from_guest_ok", udp, bench, "-R")
    case("ping_guest_ok", ping_guest, bench)
    case("tcp_guest_guest_ok", tcp_guest_guest, bench)
    case("file_guest_guest_ok", file_guest_guest, bench)
    bench.guests.pop().stop()
    case("unbind_under_traffic_ok", unbind, bench)
    case("queue_reset_ok", queue_reset, bench)
    case("reset_under_traffic_ok", reset, bench)
    case("owner_killed_ok", owner_killed, bench)


def group_mq(bench, case):
    bench.add(cpus=2, queues=2)
    if not case("mq_boot_ok", bench.start):
        return
    case("mq_both_queues_ok", both_queues, bench)
    case("mq_worker_per_queue_ok", workers_per_queue, bench)
    case("mq_change_queues_ok", change_queues, bench)


def group_nomrg(bench, case):
    bench.add(device="mrg_rxbuf=off")
    if not case("nomrg_boot_ok", bench.start):
        return
    case("nomrg_features_ok", features_off, bench, 15)
    for name, func, *args in TRAFFIC:
        case("nomrg_" + name, func, bench, *args)


def group_legacy(bench, case):
    bench.add(machine="q35", device="disable-modern=on")
    if not case("legacy_boot_ok", bench.start):
        return
    case("legacy_features_ok", features_off, bench, 32)
    for name, func, *args in TRAFFIC:
        case("legacy_" + name, func, bench, *args)


def group_one(bench, case):
    """The short form, for guests under TCG inside TCG: some 25 times slower."""
    bench.add()
    if not case("boot_ok", bench.start):
        return
    case("worker_seen_ok", worker_seen, bench)
    case("kicks_and_calls_ok", kicks_and_calls, bench)
    for name, func, *args in TRAFFIC:
        case(name, func, bench, *args)
    case("unbind_under_traffic_ok", unbind, bench)


GROUPS = {"pair": group_pair, "mq": group_mq, "nomrg": group_nomrg,
          "legacy": group_legacy, "one": group_one}
DEFAULT_GROUPS = {"kvm": "pair,mq,nomrg,legacy", "tcg": "one"}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--node", default="/dev/vhost-net")
    parser.add_argument("--vhostfd", action="store_true",
                        help="open taps and node here, pass descriptors")
    parser.add_argument("--accel", default="kvm", choices=("kvm", "tcg"))
    parser.add_argument("--module", choices=("vhx_net", host.IN_TREE),
                        help="load it first, and see that it unloads")
    parser.add_argument("--variant", help="second word of the names")
    parser.add_argument("--groups", help="of " + ",".join(GROUPS))
    parser.add_argument("--only", help="regular expression on the names")
    opts = parser.parse_args()
    opts.groups = opts.groups or DEFAULT_GROUPS[opts.accel]
    if opts.node != "/dev/vhost-net":
        opts.vhostfd = True
    return opts


def main():
    opts = parse()
    host.SLOW = 1 if opts.accel == "kvm" else 5
    suite = Suite(opts.variant or opts.accel, opts.only)
    print("KTAP version 1", flush=True)
    host.sh("modprobe", "tun")
    if opts.accel == "kvm":
        host.modprobe_kvm()
    if opts.module:
        suite.case("load_ok", host.load, opts.module, opts.node)
    if not host.is_node(opts.node):
        print(f"Bail out! no {opts.node}")
        return 1
    host.make_bridge()
    for group in opts.groups.split(","):
        bench = Bench(opts)
        try:
            GROUPS[group](bench, suite.case)
            for guest in bench.guests:
                if suite.failed and guest.proc:
                    log(f"{guest.name}: " + "\n# ".join(guest.tail()))
        finally:
            bench.stop()
    host.drop_bridge()
    if opts.module:
        suite.case("unload_ok", host.unload, opts.module)
    if Guest.retries:
        log(f"{Guest.retries} retries after a guest fell silent")
    print(f"1..{suite.done}")
    log(f"{suite.done - suite.failed - suite.skipped} passed, "
        f"{suite.failed} failed, {suite.skipped} skipped")
    return 1 if suite.failed or not suite.done else 0


if __name__ == "__main__":
    os.chdir("/")
    sys.exit(main())
