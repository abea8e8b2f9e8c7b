# SPDX-License-Identifier: GPL-2.0-only
"""What the guest suites share: KTAP, and a set-up of guests on a bridge."""
import os
import re
import time
import traceback

import host
from guest import PATIENCE, Guest, GuestError, GuestTimeout, Net

MAC = "52:54:00:77:00:{:02x}"


# A fresh iperf3 server that listens when this returns: between two tests one
# closes its port for a moment, which under emulation is long.
LISTENS = "grep -q ':1451 .* 0A ' /proc/net/tcp*"
SERVER = (f"killall -q iperf3; while {LISTENS}; do sleep 0.1; done; "
          f"iperf3 -s -D; until {LISTENS}; do sleep 0.1; done")


class Skip(Exception):
    """The reason why a test could not be tried."""


def log(text):
    print(f"# {text}", flush=True)


class Suite:
    """Runs cases by groups, prints KTAP, counts."""

    def __init__(self, variant, only):
        self.variant, self.only = variant, only
        self.done = self.failed = self.skipped = 0
        self.results = []               # (name, is it ok, reason of a skip)
        self.is_silence_fatal = False   # a guest that falls silent ends a try

    def group(self, func):
        """The cases of a group, which a guest that falls silent ends: under two
        levels of emulation one does now and then, with any vhost and without a
        word on its console.  Then it is tried once more, with fresh guests;
        counted and reported, and a second silence is a failure."""
        self.flush()
        self.is_silence_fatal = True
        try:
            func()
        except GuestTimeout as err:
            Guest.retries += 1
            log(f"the group once more: {err}")
            self.results = []
            self.is_silence_fatal = False
            func()
        self.flush()

    def has_failed(self):
        return self.failed or not all(is_ok for _, is_ok, _ in self.results)

    def flush(self):
        """The group's results, which are final now."""
        for name, is_ok, reason in self.results:
            self.done += 1
            self.failed += not is_ok
            self.skipped += bool(reason)
            print(("ok" if is_ok else "not ok") + f" {self.done} {name}" +
                  (f" # SKIP {reason}" if reason else ""), flush=True)
        self.results = []

    def end(self):
        """The plan. Return: whether all passed."""
        self.flush()
        if Guest.retries:
            log(f"{Guest.retries} retries after a guest fell silent")
        print(f"1..{self.done}")
        log(f"{self.done - self.failed - self.skipped} passed, "
            f"{self.failed} failed, {self.skipped} skipped")
        return self.done and not self.failed

    def case(self, name, func, *args):
        """One test.  What func returns is a remark, an exception a failure.

        False after a failure, so that what builds on it is not tried."""
        name = f"guest.{self.variant}.{name}"
        if self.only and not re.search(self.only, name) \
                and not name.endswith(("boot_ok", "load_ok")):
            return True
        is_ok, reason = True, None
        began = time.monotonic()
        try:
            remark = func(*args)
        except Skip as why:
            reason = remark = str(why)
        except Exception as err:    # pylint: disable=broad-except
            if isinstance(err, GuestTimeout) and self.is_silence_fatal:
                raise
            if not isinstance(err, (GuestError, host.HostError)):
                log(traceback.format_exc().replace("\n", "\n# "))
            is_ok, remark = False, f"{type(err).__name__}: {err}"
        if remark is not None:
            log(f"{name}: {remark}")
        log(f"{name}: {time.monotonic() - began:.1f} s")
        self.results.append((name, is_ok, reason))
        return is_ok


class Bench:
    """What the cases share: options, and the guests of one set-up."""

    def __init__(self, opts):
        self.opts = opts
        self.secs = 1 if opts.accel == "kvm" else 3
        self.size = (4 << 20) if opts.accel == "kvm" else (1 << 20)
        self.slow = host.SLOW * PATIENCE
        self.guests = []
        self.taps = []

    def net(self, index, **options):
        """A tap on the bridge and the device on it."""
        tap = f"vhxtap{index}"
        host.make_tap(tap, options.get("queues", 1))
        self.taps.append(tap)
        if self.opts.cuse:
            # the host's end: it must not answer by the other one as well
            host.sh("ip", "link", "set", tap, "nomaster")
            host.make_tap("x" + tap)
            self.taps.append("x" + tap)
        options = {"node": self.opts.node, "vhostfd": self.opts.vhostfd,
                   **options}
        return Net(tap, MAC.format(index + 2), self.addr(index) + "/24",
                   **options)

    @staticmethod
    def addr(index):
        return f"10.77.0.{index + 2}"

    def guest(self, index, nets, **options):
        return Guest(nets, accel=self.opts.accel, name=f"guest{index}", log=log,
                     is_shared=bool(self.opts.cuse), **options)

    def add(self, cpus=1, machine=None, **options):
        index = len(self.guests)
        snapshot = None
        # it was taken before the driver met the device, which may be another
        if self.opts.accel == "tcg" and cpus == 1 and \
                not options.keys() - {"device"}:
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
