#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Real guests on vhx-switch --offload: KTAP on stdout.

usage: unshare -n offload.py SWITCH [QEMU QEMU]

As guests.py. Guest 0 has all offloads; guest 1 has a device that takes frames
without checksums and no long ones, with packed rings, and one that takes neither:
the switch has to cut what is for it. The host is on a tap of the switch's, made
in the network namespace that this runs in.
"""
import functools
import hashlib
import http.server
import os
import shutil
import sys
import tempfile
import threading
import urllib.request

from guests import MAC, PACKED, SIZE, Set
import host
from bench import Suite
from guest import GuestError, Net
from switch import Switch

TAP = "vhxsw0"
HOST = "10.77.1.254"
NO_LONG = "guest_tso4=off,guest_tso6=off"
CSUM, GUEST_CSUM, MTU, GUEST_TSO4, HOST_TSO4 = 0, 1, 3, 7, 11
# MRG_RXBUF, STATUS, CTRL_VQ, GUEST_ANNOUNCE, INDIRECT_DESC, EVENT_IDX, VERSION_1
ALWAYS = 15, 16, 17, 21, 28, 29, 32
ETHERNET = 1514                     # bytes of a frame of an MTU of 1500
SHORT = 1400                        # another MTU


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):      # pylint: disable=arguments-differ
        pass


class Offload(Set):
    """Guest 0 on port a, guest 1 on b and c, the host on port host."""

    def __init__(self, program, folder, qemus):
        super().__init__(program, folder, qemus)
        self.switch = Switch(program, folder, "--offload")
        self.server = None

    def start(self):
        path = self.switch.path
        self.switch.start(*(f"vhost-user,name={name},path={path(name)}"
                            for name in "abc"), f"tap,name=host,ifname={TAP}")
        for words in (["addr", "add", f"{HOST}/24", "dev", TAP],
                      ["link", "set", TAP, "up"], ["link", "set", "lo", "up"]):
            host.sh("ip", *words)
        self.guests = [self.guest(0, path("a")),
                       self.guest(1, path("b"), device=f"packed=on,{NO_LONG}")]
        self.guests[1].nets.append(Net(
            "", MAC.format(2), "10.77.2.2/24", user=path("c"),
            device=f"guest_csum=off,host_mtu={SHORT},{NO_LONG}"))
        for guest in self.guests:
            guest.start()
        # both devices of guest 1 are on the same wire
        self.guests[1].check(
            "cd /proc/sys/net/ipv4/conf/all && echo 1 >arp_ignore && "
            "echo 2 >arp_announce")
        self.guests[0].check("ip addr add 10.77.2.1/24 dev eth0")
        for guest in self.guests:
            guest.check("httpd -h /tmp -p 80", 30)
        server = http.server.ThreadingHTTPServer(
            (HOST, 80), functools.partial(Files, directory=self.switch.dir))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.server = server

    def features(self):
        """What the drivers accepted, and the MTU, which they then have."""
        for index, dev, wanted, unwanted in (
                (0, "eth0", (CSUM, GUEST_CSUM, GUEST_TSO4, HOST_TSO4), ()),
                (1, "eth0", (CSUM, GUEST_CSUM, HOST_TSO4, PACKED),
                 (GUEST_TSO4,)),
                (1, "eth1", (CSUM, MTU, HOST_TSO4), (GUEST_CSUM, GUEST_TSO4))):
            bits = self.guests[index].check(
                f"cat /sys/class/net/{dev}/device/features").strip()
            if any(bits[bit] != "1" for bit in (*ALWAYS, *wanted)) or \
                    any(bits[bit] != "0" for bit in unwanted):
                raise GuestError(f"guest {index} {dev}: {bits}")
        self.guests[1].check(f"grep -qx {SHORT} /sys/class/net/eth1/mtu")

    # -- a file from one to another ------------------------------------------

    def serve(self, index):
        """A new one of a guest, or of the host: its hash."""
        if index is None:
            data = os.urandom(SIZE)
            with open(os.path.join(self.switch.dir, "r"), "wb") as file:
                file.write(data)
            return hashlib.sha256(data).hexdigest()
        return self.guests[index].check(
            f"head -c {SIZE} /dev/urandom >/tmp/r && sha256sum /tmp/r",
            120).split()[0]

    def fetch(self, index, addr):
        if index is None:
            with urllib.request.urlopen(f"http://{addr}/r", timeout=60) as file:
                return hashlib.sha256(file.read()).hexdigest()
        return self.guests[index].check(
            f"wget -q -O /tmp/in http://{addr}/r && sha256sum /tmp/in && "
            "rm /tmp/in", 240).split()[0]

    def carry(self, source, to, addr, ports, is_cut):
        """A file arrives as it was, in long frames from its sender, which its
        receiver gets as they are, or in segments."""
        want, before = self.serve(source), self.switch.ports()
        got, after = self.fetch(to, addr), self.switch.ports()
        if got != want:
            raise GuestError(f"sha256 {got}, not {want}")

        def mean(port, way):
            frames, count = (after[port][key] - before[port][key]
                             for key in (way, way + "_bytes"))
            return count / max(frames, 1)

        sent, received = mean(ports[0], "rx"), mean(ports[1], "tx")
        if sent <= ETHERNET or (received <= ETHERNET) != is_cut:
            raise GuestError(f"bytes of a frame: {sent:.0f} from its sender, "
                             f"{received:.0f} to its receiver")
        return f"{sent:.0f} bytes of a frame, {received:.0f} of one that arrives"

    def drops(self):
        """Nobody was sent, or given, what does not fit."""
        ports = self.switch.ports()
        for name in ("a", "b", "c", "host"):
            for key in ("drop_bad", "drop_guest", "guest_offload", "errors"):
                if ports[name].get(key):
                    raise GuestError(f"{name}: {ports[name]}")

    def stop(self):
        if self.server:
            self.server.shutdown()
        super().stop()


def test(rack, qemus):
    suite = Suite("-".join(["switch-offload", *qemus]), None)
    print("KTAP version 1", flush=True)
    if suite.case("boot_ok", rack.start):
        suite.case("features_ok", rack.features)
        for name, *args in (
                ("long_to_segments_ok", 0, 1, "10.77.1.1", "ab", True),
                ("long_to_segments_with_sums_ok", 0, 1, "10.77.2.1", "ac", True),
                ("long_to_long_ok", 1, 0, "10.77.1.2", "ba", False),
                ("long_without_csum_to_long_ok", 1, 0, "10.77.2.2", "ca", False),
                ("long_of_tap_to_segments_ok", None, 1, HOST, ("host", "b"),
                 True),
                ("long_of_tap_to_long_ok", None, 0, HOST, ("host", "a"), False),
                ("long_to_tap_ok", 0, None, "10.77.1.1", ("a", "host"), False)):
            suite.case(name, rack.carry, *args)
        suite.case("nothing_misfits_ok", rack.drops)
    return not suite.end()


def main():
    program, *qemus = sys.argv[1:]
    folder = tempfile.mkdtemp(prefix="vhx-switch-")
    rack = Offload(os.path.abspath(program), folder, qemus)
    try:
        return test(rack, qemus)
    finally:
        rack.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
