# SPDX-License-Identifier: GPL-2.0-only
"""Live migration between two QEMUs, back and forth, under a stream.

The guest hashes what the host sends, and writes and compares patterns in its
memory.  Linux writes a receive buffer's pages before it posts them, so only a
buffer that was posted before the migration needs vhost's log: the stream pauses
before each, and goes on when nearly all was sent, while its reader stands still.
What arrives then in pages that were sent is wrong on the other side, unless the
log had them sent again.
"""
import hashlib
import os
import random
import socket
import threading
import time

import cases
import host
from bench import log
from guest import GuestError, GuestTimeout

PACKED = 34                         # VIRTIO_F_RING_PACKED
UNREAD = 2 << 20                    # bytes that wait in the guest's socket
RATE = 3 << 20                      # bytes a second: the guest hashes as well

# Patterns come and are compared, one stays; what differs is told in mem.bad.
MEMORY = """
cat >/tmp/memory <<'END'
head -c 4194304 /dev/urandom >/tmp/mem.keep
want=$(sha256sum </tmp/mem.keep)
n=0
while [ ! -e /tmp/mem.stop ]; do
	head -c 1048576 /dev/urandom >/tmp/mem.a && cp /tmp/mem.a /tmp/mem.b
	cmp -s /tmp/mem.a /tmp/mem.b || echo "$n: a copy differs" >>/tmp/mem.bad
	[ "$(sha256sum </tmp/mem.keep)" = "$want" ] ||
		echo "$n: the pattern changed" >>/tmp/mem.bad
	n=$((n + 1))
	echo $n >/tmp/mem.rounds
	sleep 0.5
done
echo >/tmp/mem.ended
END
sh /tmp/memory >/dev/null 2>&1 &
"""

# The receive buffer holds what comes during a migration
HASH = """
echo 6291456 6291456 6291456 >/proc/sys/net/ipv4/tcp_rmem
(wget -q -O - %s | sha256sum >/tmp/stream.sum; echo >/tmp/stream.ended) \\
	>/dev/null 2>&1 &
"""


class Stream(threading.Thread):
    """Bytes over one HTTP connection until the end is asked for."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.create_server((host.ADDR, 0))
        self.sock.settimeout(30)
        self.url = f"http://{host.ADDR}:{self.sock.getsockname()[1]}/"
        self.ending, self.error = threading.Event(), None
        self.going = threading.Event()
        self.going.set()
        self.sum, self.sent = hashlib.sha256(), 0
        self.start()

    def run(self):
        try:
            conn, _ = self.sock.accept()
            with conn:
                conn.settimeout(120)
                # what was sent is to have arrived, nearly
                conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
                conn.recv(4096)
                conn.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                self.feed(conn)
        except OSError as err:
            self.error = err

    def feed(self, conn):
        blob = random.Random(2).randbytes(1 << 20)
        due = time.monotonic()
        while self.going.wait() and not self.ending.is_set():
            # no two chunks are alike, so a page that came twice shows
            at = self.sent * 31 % (len(blob) - 16384)
            chunk = self.sent.to_bytes(8, "big") + blob[at:at + 16376]
            conn.sendall(chunk)
            self.sum.update(chunk)
            self.sent += len(chunk)
            due = max(due + len(chunk) / RATE, time.monotonic() - 1)
            time.sleep(max(0, due - time.monotonic()))

    def end(self):
        """Stop; the hash of all that was sent."""
        self.ending.set()
        self.join(120)
        self.sock.close()
        if self.error or self.is_alive():
            raise host.HostError(f"the stream: {self.error or 'stuck'}")
        return self.sum.hexdigest()


class Mover:
    """The guest is bench.guests[0]; the spare tap waits for the next QEMU."""

    def __init__(self, bench, **options):
        self.bench, self.stream, self.held = bench, None, 0
        self.times = bench.opts.migrations
        self.nets = [bench.net(0, **options), bench.net(1, **options)]
        # one guest: it keeps its addresses
        self.nets[1].mac, self.nets[1].addr = self.nets[0].mac, self.nets[0].addr
        self.add(self.nets[0])

    def add(self, net, incoming=None):
        guest = self.bench.guest(len(self.bench.guests), [net], mem="128M",
                                 machine="q35", incoming=incoming)
        self.bench.guests.append(guest)
        return guest

    def begin(self):
        self.bench.guests[0].check(MEMORY)
        self.stream = Stream()
        self.bench.guests[0].check(HASH % self.stream.url)
        self.wait_sent(1 << 20)
        return self.stream.url

    def wait_sent(self, count):
        """Until the guest took that much more."""
        until, deadline = self.stream.sent + count, time.monotonic() + 60
        while self.stream.sent < until:
            if self.stream.error or time.monotonic() > deadline:
                raise host.HostError(f"the stream stopped after "
                                     f"{self.stream.sent}: {self.stream.error}")
            time.sleep(0.1)

    def migrate(self, guest, path, deadline):
        """Migrate to a unix socket with the log on: QEMU's last word."""
        net = [dev["path"] for dev in guest.qmp("x-query-virtio")
               if dev["name"] == "virtio-net"][0]
        if vhost_logs(guest, net):
            raise host.HostError("the dirty log is on before the migration")
        self.stream.going.clear()
        time.sleep(0.5)             # what was sent is read, buffers are posted
        guest.qmp("migrate-set-parameters",
                  **{"max-bandwidth": 32 << 20, "downtime-limit": 0})
        guest.qmp("migrate", uri=f"unix:{path}")
        logged = held = False
        while True:
            status = guest.qmp("query-migrate")
            if status["status"] == "completed" and logged:
                self.held += held
                return status
            if status["status"] in ("completed", "failed", "cancelled"):
                raise GuestError(f"log on: {logged}, migration: {status}")
            if time.monotonic() > deadline:
                raise GuestTimeout(f"migration: {status}")
            logged = logged or vhost_logs(guest, net) is not False
            ram = status.get("ram")
            if ram and not held and (ram["dirty-sync-count"] > 1 or
                                     ram["remaining"] < ram["total"] / 20):
                held = self.hold(guest)
            time.sleep(0.05)

    def hold(self, guest):
        """Next to nothing is sent until enough has arrived unread; False where
        the migration was quicker."""
        guest.qmp("migrate-set-parameters", **{"max-bandwidth": 1 << 16})
        if guest.qmp("query-status")["status"] != "running":
            return False
        guest.check("kill -STOP $(pidof wget)")
        self.stream.going.set()
        self.wait_sent(UNREAD)
        guest.qmp("migrate-set-parameters",
                  **{"max-bandwidth": 1 << 30, "downtime-limit": 1000})
        return True

    def move(self):
        """One migration: QEMU's figures."""
        old = self.bench.guests[0]
        spare = self.nets[old.nets[0] is self.nets[0]]
        path = os.path.join(old.dir, "migration")
        new = self.add(spare, f"unix:{path}")
        deadline = time.monotonic() + 120
        new.launch(deadline)
        status = self.migrate(old, path, deadline)
        while new.qmp("query-status")["status"] != "running":
            if time.monotonic() > deadline:
                raise GuestTimeout("the destination does not run")
            time.sleep(0.05)
        new.boot_id, new.count = old.boot_id, old.count
        new.check("kill -CONT $(pidof wget)")
        self.stream.going.set()
        self.bench.guests.remove(old)
        old.stop()
        self.wait_sent(RATE // 2)
        return status

    def move_often(self):
        for turn in range(self.times):
            status = self.move()
            ram = status["ram"]
            log(f"migration {turn + 1}: {status['total-time']} ms, "
                f"down {status['downtime']} ms, {ram['dirty-sync-count']} "
                f"passes, {ram['normal']} pages, log on, "
                f"{self.stream.sent >> 20} MiB streamed")
        if self.held < self.times / 2:
            raise host.HostError(f"held {self.held} times of {self.times}")
        return f"{self.times} times, held {self.held} times"

    def stream_intact(self):
        want = self.stream.end()
        out = self.wait_file("stream.ended", "cat /tmp/stream.sum")
        cases.same("the stream", out.split()[0], want)
        return f"{self.stream.sent} bytes"

    def memory_intact(self):
        guest = self.bench.guests[0]
        guest.check("touch /tmp/mem.stop")
        out = self.wait_file("mem.ended",
                             "cat /tmp/mem.rounds; cat /tmp/mem.bad; true")
        rounds, *bad = [line for line in out.splitlines()
                        if "can't open" not in line]
        if bad or int(rounds) < self.times:
            raise host.HostError(f"after {rounds} rounds: {bad}")
        return f"{rounds} rounds"

    def wait_file(self, name, then):
        return self.bench.guests[0].check(
            f"n=0; until [ -e /tmp/{name} ]; do n=$((n + 1)); "
            f"[ $n -lt 300 ] || exit; sleep 0.2; done; {then}", 90)


def vhost_logs(guest, path):
    """Whether QEMU says that the device's dirty log is on; None: it can't."""
    status = guest.device_status(path)
    return status and bool(status.get("vhost-dev", {}).get("log-enabled"))


def group_of(bench, case, word, *features, **options):
    mover = Mover(bench, **options)
    if not case(word + "boot_ok", bench.start):
        return
    if features:
        case(word + "features_ok", cases.features_on, bench, *features)
    if not case(word + "stream_starts_ok", mover.begin):
        return
    if not case(f"{word}{mover.times}_times_ok", mover.move_often):
        return
    case(word + "stream_intact_ok", mover.stream_intact)
    case(word + "memory_intact_ok", mover.memory_intact)
    case(word + "worker_seen_ok", cases.worker_seen, bench)
    for name, func, *args in cases.TRAFFIC:
        case(word + name, func, bench, *args)


def group(bench, case):
    group_of(bench, case, "migrate_")


def group_packed(bench, case):
    """Positions and wrap counters of both sides migrate with the device."""
    group_of(bench, case, "packed_migrate_", PACKED, device="packed=on")
