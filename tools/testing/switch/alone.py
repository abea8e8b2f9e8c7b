#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""vhx-switch without a guest: its command line, taps and VLANs: KTAP on stdout.

usage: unshare -n alone.py SWITCH

Runs on the machine itself, as root, in a network namespace of its own.
"""
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../vm"))
from bench import Suite  # noqa: E402
from by_hand import TX, Guest  # noqa: E402

ALL = b"\xff" * 6
PAY = b"\x08\x00" + b"E" * 60
ETH_P_ALL, SOL_PACKET, PACKET_AUXDATA, OUTGOING = 3, 263, 8, 4
TAG_VALID, TPID_VALID = 1 << 4, 1 << 6


class Wrong(Exception):
    """What the switch did is not what it should do."""


def sh(*argv):
    return subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT).stdout


def until(is_so, what, secs=10):
    deadline = time.monotonic() + secs
    while not is_so():
        if time.monotonic() > deadline:
            raise Wrong(what)
        time.sleep(0.05)


def mac(number):
    return bytes([2, 0, 0, 0, 0, number])


def tagged(vlan, priority=0):
    return struct.pack("!HH", 0x8100, priority << 13 | vlan) + PAY


class Wire:
    """The host's end of a tap: whole frames, with their tags."""

    def __init__(self, name):
        sh("ip", "link", "set", name, "up")
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                  socket.htons(ETH_P_ALL))
        self.sock.bind((name, 0))
        self.sock.setblocking(False)
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)

    def frames(self):
        """What came, its test frames alone."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                data, more, _, addr = self.sock.recvmsg(4096, 256)
                for level, kind, aux in more:
                    if (level, kind) != (SOL_PACKET, PACKET_AUXDATA):
                        continue
                    status, *_, tci, tpid = struct.unpack("IIIHHHH", aux[:20])
                    if status & TAG_VALID:
                        tpid = tpid if status & TPID_VALID else 0x8100
                        data = data[:12] + struct.pack("!HH", tpid, tci) + \
                            data[12:]
                if addr[2] != OUTGOING and data[-60:] == PAY[2:]:
                    found.append(data)
        return found


class Alone:
    """A switch, and what it says."""

    def __init__(self, program):
        self.program, self.dir = program, tempfile.mkdtemp(prefix="vhx-alone-")
        self.proc, self.options_of_all = None, ()

    def path(self, name):
        return os.path.join(self.dir, name)

    def run(self, *argv, secs=5):
        """One that ends: status and what it said."""
        try:
            done = subprocess.run([self.program, *argv], text=True,
                                  stdout=subprocess.PIPE, timeout=secs,
                                  stderr=subprocess.STDOUT, check=False)
        except subprocess.TimeoutExpired as late:
            return None, (late.stdout or b"").decode()
        return done.returncode, done.stdout

    @contextlib.contextmanager
    def switch(self, *specs, options=()):
        ports = [word for spec in specs for word in ("--port", spec)]
        self.proc = subprocess.Popen([self.program, "--ctl", self.path("ctl"),
                                      *self.options_of_all, *options, *ports],
                                     stderr=subprocess.DEVNULL)
        try:
            until(lambda: self.ask("help")[0] == 0, "the switch does not answer")
            yield self
        finally:
            self.proc.terminate()
            status = self.proc.wait(10)
        if status:
            raise Wrong(f"it ended with status {status}")

    def ask(self, *words):
        return self.run("--ctl", self.path("ctl"), "ctl", *words)

    def ports(self):
        return {port["name"]: port for port in
                json.loads(self.ask("show", "ports", "--json")[1])}

    def rings(self):
        return {f"{ring['port']}.{ring['ring']}": ring for ring in
                json.loads(self.ask("show", "queues", "--json")[1])}

    def cpu(self):
        with open(f"/proc/{self.proc.pid}/stat") as file:
            words = file.read().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    # -- the command line -----------------------------------------------------

    def refused(self, status, text, *argv):
        got, said = self.run("--ctl", self.path("ctl"), *argv)
        if got != status or text not in said:
            raise Wrong(f"{' '.join(argv)}: {got}: {said}")

    def options(self):
        """What is wrong is said, with what to do."""
        tap = ("--port", "tap,ifname=t0")
        user = f"vhost-user,path={self.path('a')}"
        for status, text, *argv in (
                (64, "--age=-5: seconds", "--age=-5", *tap),
                (64, "--age=10x: seconds", "--age", "10x", *tap),
                (64, "--age=0: seconds", "--age", "0", *tap),
                (64, "--threads=0: from 1 to 16", "--threads=0", *tap),
                (64, "--threads=17: from 1 to 16", "--threads=17", *tap),
                (64, "--threads=2x: from 1 to 16", "--threads", "2x", *tap),
                (1, "thread=2: the switch has 2, counted from 0: give it more by "
                 "--threads", "--threads=2", "--port", user + ",thread=2"),
                (1, "thread=1: the switch has 1,", "--port", user + ",thread=1"),
                (1, "not understood", "--port", user + ",thread=16"),
                (1, "not understood", "--port", user + ",thread=-1"),
                (1, "a port has one of them", "--port", user + ",vlan=5,trunk=6"),
                (1, "not understood", "--port", user + ",vlan=4095"),
                (1, "not understood", "--port", user + ",queues=1x"),
                (1, "not understood", "--port", user + ",mode=0999"),
                (1, "not understood", "--port", user + ",group=no-such-group"),
                (1, "not understood", "--port", user + ",memory=all"),
                (1, "no such kind of port", "--port", "foo"),
                (1, "make the folder first", "--port",
                 f"vhost-user,path={self.dir}/none/a"),
                (1, "there is a port of that name", "--port", user,
                 "--port", user)):
            self.refused(status, text, *argv)
        status, said = self.run()
        if status != 64 or "no port: --port" not in said:
            raise Wrong(f"without arguments: {status}: {said}")
        status, said = self.run("--version")
        if status != 0 or not said.startswith("vhx-switch "):
            raise Wrong(f"--version: {said}")

    def files_stay(self):
        """A file that is no socket is somebody's."""
        name = self.path("file")
        with open(name, "w") as file:
            file.write("mine")
        for argv in (("--ctl", name, "--port", "tap,ifname=t0"),
                     ("--ctl", self.path("ctl"), "--port",
                      f"vhost-user,path={name}")):
            status, said = self.run(*argv)
            with open(name) as file:
                if status != 1 or file.read() != "mine":
                    raise Wrong(f"{argv}: {status}: {said}")

    def rights_of_a_socket(self):
        with self.switch(f"vhost-user,name=a,path={self.path('a')},mode=0660,"
                         "group=daemon",
                         f"vhost-user,name=b,path={self.path('b')}"):
            for name, mode in (("a", 0o660), ("b", 0o700)):
                found = os.stat(self.path(name))
                if found.st_mode & 0o777 != mode:
                    raise Wrong(f"{name}: {found.st_mode:o}")
            if os.stat(self.path("a")).st_gid != 1:
                raise Wrong("group=daemon")

    def hang_up_signal(self):
        """A terminal that goes is nothing to it."""
        with self.switch(f"vhost-user,name=a,path={self.path('a')}"):
            self.proc.send_signal(signal.SIGHUP)
            time.sleep(0.3)
            if self.ask("show", "ports")[0] != 0 or \
                    not os.path.exists(self.path("a")):
                raise Wrong("it ended")

    def descriptors(self):
        """Too few for all peers is said at once."""
        done = subprocess.run(
            ["prlimit", "--nofile=100:100", self.program, "--ctl",
             self.path("ctl"), "--port",
             f"vhost-user,path={self.path('a')},queues=8"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=10, check=False)
        if done.returncode != 1 or "LimitNOFILE" not in done.stdout:
            raise Wrong(f"{done.returncode}: {done.stdout}")

    # -- threads --------------------------------------------------------------

    def threads(self):
        """Ports begin on the thread that has the fewest, or where they shall."""
        specs = [f"vhost-user,name={name},path={self.path(name)}{more}"
                 for name, more in (("a", ""), ("b", ""), ("c", ",thread=0"),
                                    ("d", ",thread=2,queues=2"), ("e", ""),
                                    ("f", ",queues=8"))]
        wanted = {"a": [0], "b": [1], "c": [0], "d": [2, 0], "e": [1],
                  "f": [2, 0, 1]}
        with self.switch(*specs, options=("--threads=3",)):
            names = set()
            for task in os.listdir(f"/proc/{self.proc.pid}/task"):
                with open(f"/proc/{self.proc.pid}/task/{task}/comm") as file:
                    names.add(file.read().strip())
            if not names >= {"plane-0", "plane-1", "plane-2"}:
                raise Wrong(str(names))
            found = {name: port["threads"] for name, port in self.ports().items()}
            if found != wanted:
                raise Wrong(str(found))
            head, *rows = self.ask("show", "ports")[1].splitlines()
            at = head.split().index("threads")
            if [row.split()[at] for row in rows] != \
                    ["0", "1", "0", "2,0", "1", "2,0,1"]:
                raise Wrong(str(rows))
            self.ask("del", "b")
            self.ask("add", specs[1].replace(",name=b", ",name=g"))
            if self.ports()["g"]["threads"] != [1]:
                raise Wrong(str(self.ports()["g"]))

    # -- taps -----------------------------------------------------------------

    def tap_comes_back(self):
        """One that is deleted is gone, and is taken up again; no CPU goes on it."""
        with self.switch("tap,name=a,ifname=ta", "tap,name=b,ifname=tb"):
            sh("ip", "link", "del", "ta")
            until(lambda: self.ports()["a"]["state"] == "gone", "still there")
            before = self.cpu()
            time.sleep(1)
            if self.cpu() - before > 0.5:
                raise Wrong("it spins")
            if "deleted" not in self.ports()["a"]["why"]:
                raise Wrong(str(self.ports()["a"]))
            sh("ip", "tuntap", "add", "ta", "mode", "tap")
            until(lambda: self.ports()["a"]["state"] == "up", "not taken up")
            self.expect({"a": Wire("ta"), "b": Wire("tb")}, "a",
                        ALL + mac(1) + PAY, b=ALL + mac(1) + PAY)
        sh("ip", "link", "del", "ta")

    def tap_of_several_queues(self):
        sh("ip", "tuntap", "add", "tm", "mode", "tap", "multi_queue")
        with self.switch("tap,name=a,ifname=tm"):
            if self.ports()["a"]["state"] != "up":
                raise Wrong(str(self.ports()))
        sh("ip", "link", "del", "tm")
        sh("ip", "tuntap", "add", "tu", "mode", "tun")
        self.refused(1, "it is no tap", "--port", "tap,ifname=tu")
        sh("ip", "link", "del", "tu")

    # -- frames ---------------------------------------------------------------

    @staticmethod
    def expect(wires, source, frame, **wanted):
        """A frame from one port comes out of others, and nowhere else."""
        for wire in wires.values():
            wire.frames()
        wires[source].sock.send(frame)
        found = {name: [] for name in wires}

        def is_there():
            for name, wire in wires.items():
                found[name] += wire.frames()
            return all(found[name] for name in wanted)

        with contextlib.suppress(Wrong):
            until(is_there, "", 3)
        time.sleep(0.1)
        is_there()
        want = {name: [wanted[name]] if name in wanted else [] for name in wires}
        if found != want:
            show = {name: [one[12:18].hex() for one in frames]
                    for name, frames in found.items()}
            raise Wrong(f"from {source}: {show}")

    def vlans(self):
        specs = ("tap,name=acc,ifname=acc,vlan=10",
                 "tap,name=acc2,ifname=acc2,vlan=10",
                 "tap,name=t1,ifname=t1,trunk=10:20",
                 "tap,name=t2,ifname=t2,trunk=10:20")
        with self.switch(*specs):
            wires = {name: Wire(name) for name in ("acc", "acc2", "t1", "t2")}
            head = ALL + mac(1)
            self.expect(wires, "t1", head + tagged(10, 5), t2=head + tagged(10, 5),
                        acc=head + PAY, acc2=head + PAY)
            self.expect(wires, "t1", head + tagged(20, 3), t2=head + tagged(20, 3))
            head = ALL + mac(2)
            self.expect(wires, "acc", head + PAY, acc2=head + PAY,
                        t1=head + tagged(10), t2=head + tagged(10))
            # a priority alone is no VLAN, and stays with its frame
            self.expect(wires, "acc", head + tagged(0, 5), acc2=head + PAY,
                        t1=head + tagged(10, 5), t2=head + tagged(10, 5))
            self.expect(wires, "acc", head + tagged(33))
            self.expect(wires, "t1", head + PAY)
            self.expect(wires, "t1", head + tagged(30))
            drops = {name: port["drop_vlan"]
                     for name, port in self.ports().items()}
            if drops["acc"] != 1 or drops["t1"] < 2:
                raise Wrong(str(drops))

    def link_local(self):
        frame = bytes.fromhex("0180c200000e") + mac(1) + PAY
        for options, wanted in ((), {}), (("--link-local",), {"b": frame}):
            with self.switch("tap,name=a,ifname=ta", "tap,name=b,ifname=tb",
                             options=options):
                self.expect({"a": Wire("ta"), "b": Wire("tb")}, "a", frame,
                            **wanted)
                if self.ports()["a"]["drop_reserved"] < (not wanted):
                    raise Wrong(str(self.ports()["a"]))
                head, row, *_ = self.ask("show", "drops")[1].splitlines()
                drops = dict(zip(head.split(), row.split()))
                if (drops["reserved"] != "0") != (not wanted):
                    raise Wrong(str(drops))

    # -- queues ---------------------------------------------------------------

    def expect_ring(self, name, **wanted):
        def is_so():
            return wanted.items() <= self.rings().get(name, {}).items()

        with contextlib.suppress(Wrong):
            until(is_so, "", 5)
        if not is_so():
            raise Wrong(f"{name}: not {wanted}: {self.rings().get(name)}")

    def queues(self):
        """What a guest does is counted, once, and under its name."""
        frame = ALL + mac(1) + PAY
        with self.switch(f"vhost-user,name=a b,path={self.path('a')}",
                         "tap,name=t,ifname=tq"):
            if self.rings():
                raise Wrong("nobody has come")
            guest, wire = Guest(self.path("a")), Wire("tq")
            guest.send(*[frame] * 5)
            self.expect_ring("a b.tx0", state="running", format="split", size=256,
                             frames=5, bytes=5 * len(frame), bursts=1, burst_4=1,
                             kicks=1, calls=1, calls_saved=0, errors=0, thread=0)
            tid = self.rings()["a b.tx0"]["worker"]
            with open(f"/proc/{self.proc.pid}/task/{tid}/comm") as file:
                if file.read() != "plane-0\n":
                    raise Wrong(f"worker {tid}")
            guest.send(frame[:13])
            self.expect_ring("a b.tx0", frames=5, drop_short=1, kicks=2)
            guest.give_buffer(0)
            wire.sock.send(frame)
            self.expect_ring("a b.rx0", frames=1, bytes=len(frame), burst_1=1,
                             guest_waits=0)
            wire.sock.send(frame)
            self.expect_ring("a b.rx0", frames=1, guest_waits=1)
            if self.rings()["a b.rx0"]["guest_wait_ns"] <= 0:
                raise Wrong("it did not take any time")
            guest.give(TX, 999)
            guest.kick(TX)
            self.expect_ring("a b.tx0", state="failed", cause="head out of range",
                             stop_head=1, errors=1)
            self.expect_ring("a b.rx0", state="running")
            said = [line.rsplit(maxsplit=3 if "cause" not in line else 6)
                    for line in self.ask("show", "queues")[1].splitlines()]
            for line in (["a b", "tx0", "frames", "5"], ["a b", "tx0", "stop_head", "1"],
                         ["a b", "tx0", "state", "failed"],
                         ["a b", "tx0", "cause", "head", "out", "of", "range"]):
                if line not in said:
                    raise Wrong(f"{line}: {said}")
            if [line for line in said if line[2] == "drop_long"]:
                raise Wrong("a counter that is 0 is told")
            guest.close()
            until(lambda: not self.rings(), "its rings are still there")


def main():
    alone = Alone(os.path.abspath(sys.argv[1]))
    for name in ("all", "default"):
        with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w") as file:
            file.write("1")
    suite = Suite("switch.alone", None)
    print("KTAP version 1", flush=True)
    taps = (("tap_comes_back_ok", alone.tap_comes_back),
            ("tap_of_several_queues_ok", alone.tap_of_several_queues),
            ("vlans_ok", alone.vlans), ("link_local_ok", alone.link_local))
    for name, case in (
            ("options_refused_ok", alone.options),
            ("files_stay_ok", alone.files_stay),
            ("rights_of_a_socket_ok", alone.rights_of_a_socket),
            ("hang_up_signal_ok", alone.hang_up_signal),
            ("too_few_descriptors_ok", alone.descriptors),
            ("threads_ok", alone.threads), ("queues_ok", alone.queues), *taps):
        suite.case(name, case)
    # one port after the other is on another thread
    alone.options_of_all = ("--threads=2",)
    for name, case in taps:
        suite.case(f"two_threads.{name}", case)
    return not suite.end()


if __name__ == "__main__":
    sys.exit(main())
