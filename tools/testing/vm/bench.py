# SPDX-License-Identifier: GPL-2.0-only
"""What the guest suites share: KTAP, and a set-up of guests on a bridge."""
import os
import re
import time
import traceback

import host
from guest import Guest, GuestError, Net

MAC = "52:54:00:77:00:{:02x}"


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

    def guest(self, index, nets, **options):
        return Guest(nets, accel=self.opts.accel, name=f"guest{index}", log=log,
                     **options)

    def add(self, cpus=1, machine=None, **options):
        index = len(self.guests)
        snapshot = None
        if self.opts.accel == "tcg" and cpus == 1 and not options:
            snapshot = os.environ.get("VHX_GUEST_SNAPSHOT")
        guest = self.guest(index, [self.net(index, **options)], cpus=cpus,
                           machine=machine, snapshot=snapshot)
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
