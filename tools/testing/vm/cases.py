# SPDX-License-Identifier: GPL-2.0-only
"""The cases of the guest suites: what a guest and its host do to each other."""
import re
import subprocess
import time

import host
from bench import SERVER, Skip
from hits import Path

IN_ORDER, RING_RESET = 35, 40       # VIRTIO_F_IN_ORDER, VIRTIO_F_RING_RESET


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


def ping_guest(bench, source=0, to=1):
    out = bench.guests[source].check(
        f"ping -c 4 -i 0.2 -W 5 {bench.addr(to)}", 40)
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


def tcp_guest_guest(bench, source=0, to=1):
    bench.guests[to].check(SERVER, 30 * bench.slow)
    out = bench.guests[source].check(
        f"iperf3 -c {bench.addr(to)} -t {bench.secs} -J", 60 * bench.slow)
    return f"{host.mbits(host.iperf_end(out)):.0f} Mbit/s"


def same(what, got, want):
    if got != want:
        raise host.HostError(f"{what}: sha256 {got}, not {want}")


def file_to_guest(bench, size=None):
    size = size or bench.size
    server = host.FileServer(size)
    try:
        out = bench.guests[0].check(
            f"wget -q -O /tmp/in {server.url} && sha256sum /tmp/in && rm /tmp/in",
            60 * bench.slow)
    finally:
        server.close()
    same("host to guest", out.split()[0], server.sha256)
    return f"{size} bytes"


def random_file(bench, guest, size=None):
    out = guest.check(f"head -c {size or bench.size} /dev/urandom >/tmp/r && "
                      "sha256sum /tmp/r", 60 * bench.slow)
    return out.split()[0]


def file_from_guest(bench, size=None):
    want = random_file(bench, bench.guests[0], size)
    url = f"http://{bench.addr(0)}/r"
    same("guest to host", host.fetch_sha256(url, 60 * bench.slow), want)
    return f"{size or bench.size} bytes"


def file_guest_guest(bench, source=1, to=0):
    want = random_file(bench, bench.guests[source])
    out = bench.guests[to].check(
        f"wget -q -O /tmp/in http://{bench.addr(source)}/r && sha256sum /tmp/in",
        60 * bench.slow)
    same("guest to guest", out.split()[0], want)
    return f"{bench.size} bytes"


def works_again(bench, guest):
    """After a disturbance both directions still carry bulk data."""
    size = min(bench.size, 2 << 20)
    host.wait_ping(bench.addr(0), 60)
    host.ping(bench.addr(0), 3)
    file_from_guest(bench, size)
    file_to_guest(bench, size)
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


def features_on(bench, *bits):
    """The variant is what it says: these bits were negotiated."""
    text = bench.guests[0].check("cat /sys/class/net/eth0/device/features")
    off = [bit for bit in bits if text[bit] == "0"]
    if off:
        raise host.HostError(f"feature bits {off} are off")


def in_order(bench):
    """Of the rig's kernels only 7.3 has a driver that takes it."""
    release = bench.guests[0].release
    if int(release.split(".")[0]) < 7:
        raise Skip(f"the driver of {release} has no VIRTIO_F_IN_ORDER")
    features_on(bench, IN_ORDER)


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


TRAFFIC = (
    ("ping_host_ok", ping_host),
    ("tcp_to_guest_ok", tcp),
    ("tcp_from_guest_ok", tcp, "-R"),
    ("file_to_guest_ok", file_to_guest),
    ("file_from_guest_ok", file_from_guest),
)
