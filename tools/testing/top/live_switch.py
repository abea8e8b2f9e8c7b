#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""vhx-top on a running vhx-switch, whose guests are made by hand. Prints KTAP.
usage: live_switch.py VHX-TOP VHX-SWITCH"""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../vm"), os.path.join(HERE, "../switch")]
from alone import ALL, PAY, Alone, Wrong, mac  # noqa: E402
from bench import Suite  # noqa: E402
from by_hand import TX, Guest  # noqa: E402

FRAME = ALL + mac(1) + PAY


def expect(want, got):
    if want != got:
        raise Wrong(f"expected {want}, got {got}")


class Live:
    """A switch with two ports, and what vhx-top says of it."""

    def __init__(self, top, switch):
        self.alone = Alone(switch)
        os.chmod(self.alone.dir, 0o755)
        # others have to be able to run it
        self.top = shutil.copy(top, self.alone.path("vhx-top"))

    def switch(self):
        return self.alone.switch(*[f"vhost-user,name=port-{name},"
                                   f"path={self.alone.path(name)}"
                                   for name in "ab"])

    def guest(self, name):
        return Guest(self.alone.path(name))

    def look(self, meanwhile=lambda: None, form="--json", **options):
        """Output, while something goes on."""
        with subprocess.Popen([self.top, form, "-d", "1"], text=True,
                              stdout=subprocess.PIPE, **options) as proc:
            while proc.poll() is None:
                meanwhile()
                time.sleep(.02)
            text = proc.stdout.read()
        expect(0, proc.returncode)
        return text

    def devices(self, *args, **options):
        """By name; there may be other switches and guests here."""
        return {device["vm"]: device
                for device in json.loads(self.look(*args, **options))["devices"]
                if device["pid"] == self.alone.proc.pid}

    def ports(self):
        with self.switch():
            expect({}, self.devices())
            one, other = self.guest("a"), self.guest("b")
            one.send(*[FRAME] * 5)
            self.alone.expect_ring("port-a.tx0", frames=5)
            found = self.devices(lambda: one.send(FRAME))
            expect(["port-a", "port-b"], sorted(found))
            device = found["port-a"]
            expect(("vhx-switch", self.alone.path("a"), None, "ok"),
                   tuple(device[key] for key in ("kind", "node", "fd", "verdict")))
            ring = device["tx"]
            expect(("running", "split", 256, "switch", 0, None, None),
                   tuple(ring[key] for key in ("state", "format", "size", "backend",
                                               "queue", "ifname", "cause")))
            expect("plane-0", ring["worker"]["name"])
            if not 10 < ring["frames_per_s"] < 100:
                raise Wrong(f"{ring['frames_per_s']} frames/s")
            expect((None, None, 0), (ring["host_wait_share"],
                                     ring["counters"]["host_waits"],
                                     ring["counters"]["drop_share"]))
            if device["interface"]["from_guest_frames"] <= 5:
                raise Wrong(f"{device['interface']}")
            line, = [line for line in self.look(form="--once").splitlines()
                     if line.startswith("port-a")]
            expect(["port-a", str(self.alone.proc.pid), "switch", "0"],
                   line.split()[:4])
            text = self.look(form="--prometheus")
            if f'vhx_ring_frames_total{{vm="port-a",pid="{self.alone.proc.pid}",' \
                    'fd="0",ring="tx",interface="",queue="0"}' not in text:
                raise Wrong(text)
            one.close()
            other.close()

    def broken(self):
        with self.switch():
            one, other = self.guest("a"), self.guest("b")
            one.give(TX, 999)
            one.kick(TX)
            self.alone.expect_ring("port-a.tx0", state="failed")
            found = self.devices()
            expect(("broken", "tx: head out of range"),
                   (found["port-a"]["verdict"], found["port-a"]["why"]))
            expect("head out of range", found["port-a"]["tx"]["cause"])
            expect("idle", found["port-b"]["verdict"])
            one.close()
            other.close()

    def no_buffers(self):
        """Frames that nobody takes are dropped; the last wait has no end."""
        with self.switch():
            one, other = self.guest("a"), self.guest("b")
            one.send(FRAME)
            self.alone.expect_ring("port-b.rx0", guest_waits=1)
            found = self.devices(lambda: one.send(FRAME))["port-b"]
            expect("guest-limited", found["rx"]["verdict"])
            time.sleep(.3)
            found = self.devices()["port-b"]
            if found["rx"]["guest_wait_share"] < .9:
                raise Wrong(f"the wait has ended: {found['rx']}")
            expect("idle", found["rx"]["verdict"])
            one.close()
            other.close()

    def stopped(self):
        with self.switch():
            guest, proc = self.guest("a"), self.alone.proc
            proc.send_signal(signal.SIGSTOP)
            try:
                begin = time.monotonic()
                device, = self.devices().values()
                if time.monotonic() - begin > 6:
                    raise Wrong("it took too long")
            finally:
                proc.send_signal(signal.SIGCONT)
            expect(("vhx-switch", "unknown", "the switch does not answer", None),
                   (device["kind"], device["verdict"], device["why"],
                    device["rx"]["frames_per_s"]))
            guest.close()

    def other_user(self):
        with self.switch():
            guest = self.guest("a")
            device, = self.devices(user=65534).values()
            expect(("hidden", "unknown", None),
                   (device["kind"], device["verdict"], device["rx"]["worker"]))
            guest.close()

    def another_program(self):
        """A program of that name does not speak for a switch."""
        name = self.alone.path("vhx-switch")
        shutil.copy(shutil.which("sh"), name)
        with self.switch():
            guest = self.guest("a")
            with subprocess.Popen([name, "-s", "--", "--ctl",
                                   self.alone.path("ctl")],
                                  stdin=subprocess.PIPE) as proc:
                found = json.loads(self.look())["devices"]
                proc.stdin.close()
            expect(["nobody is on the switch's control socket"],
                   [device["why"] for device in found if device["pid"] == proc.pid])
            guest.close()


def main():
    live = Live(*map(os.path.abspath, sys.argv[1:3]))
    suite = Suite("top.switch", None)
    print("KTAP version 1", flush=True)
    for name, case in (("ports_ok", live.ports), ("broken_ring_broken", live.broken),
                       ("no_buffers_guest_limited", live.no_buffers),
                       ("stopped_unknown", live.stopped),
                       ("other_user_sees_no_port", live.other_user),
                       ("another_program_unknown", live.another_program)):
        suite.case(name, case)
    return not suite.end()


if __name__ == "__main__":
    sys.exit(main())
