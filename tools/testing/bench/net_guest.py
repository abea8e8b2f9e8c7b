#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""net_guest.py [-r ROUNDS] [-c ROW]... [--ours-twice]: a guest on in-tree vhost_net and
one on ours, in turns, by the clock; then a table. --ours-twice has both on ours, to see
how far two guests on the same module differ.

Runs in L1 for net.sh --guest. Both guests live in one boot and take short turns,
A B B A. Of two guests on the same module one may be five times as fast as the other, in
all rounds: so after half of the rounds they change places, and a ratio is the geometric
mean of one round of each half, in which that cancels. The first round of each half,
which warms up what the emulator has to translate, does not count.
"""
import argparse
import collections
import math
import os
import socket
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../vm"))
import host  # noqa: E402  pylint: disable=wrong-import-position
from bench import Bench, SERVER  # noqa: E402  pylint: disable=wrong-import-position
from guest import Guest, GuestError  # noqa: E402  pylint: disable=wrong-import-position

OURS, NODE = "vhx_net", "/dev/vhost-net"
NODES = {host.IN_TREE: NODE, OURS: NODE + "-vhx"}
HEADS = {host.IN_TREE: "in-tree", OURS: "vhx"}
SECS = 1                        # of a turn
ECHO = 7                        # port
# payload of a frame of 64 bytes; as many as the sender can
UDP = ("-u", "-b", "0", "-l", "22")
BEGAN = time.monotonic()


def say(text):
    print(f"{time.monotonic() - BEGAN:4.0f} s in the machine: {text}", flush=True)


def tcp(addr, *options):
    """Mbit/s that arrived, and megabytes."""
    end = host.iperf(addr, SECS, *options)
    return host.mbits(end), end["sum_received"]["bytes"] / 1e6


def udp(addr, *options):
    """Thousand datagrams a second that arrived, and thousands of them."""
    total = host.iperf(addr, SECS, *UDP, *options)["sum"]
    arrived = (total["packets"] - total["lost_packets"]) / 1e3
    return arrived / total["seconds"], arrived


def tcp_rr(addr):
    """Bytes to and fro, one at a time: how many a second, and thousands of them."""
    with socket.create_connection((addr, ECHO), 10) as sock:
        sock.settimeout(10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        count, began = 0, time.monotonic()
        while time.monotonic() < began + SECS:
            sock.sendall(b"x")
            if not sock.recv(1):
                raise host.HostError(f"{addr} closed the connection")
            count += 1
        return count / (time.monotonic() - began), count / 1e3


# name, unit, what the worker's time is divided by, how it is run
ROWS = (
    ("TCP to guest", "Mbit/s", "MB", tcp),
    ("TCP from guest", "Mbit/s", "MB", tcp, "-R"),
    ("UDP 64 to guest", "thousand/s", "1000", udp),
    ("UDP 64 from guest", "thousand/s", "1000", udp, "-R"),
    ("TCP_RR", "a second", "1000", tcp_rr),
)


class Figures:
    """What a module reached, and what its worker took: by row, one a round."""

    def __init__(self, module):
        self.module = module
        self.rates = collections.defaultdict(list)
        self.costs = collections.defaultdict(list)


class Seat:
    """A guest on a module's node."""
    retries = 0                     # of turns, of all

    def __init__(self, bench, figures):
        self.module, self.figures = figures.module, figures
        self.addr = bench.addr(len(bench.guests))
        self.guest = bench.add(node=NODES[self.module], vhostfd=True)
        self.guest.patience = 240

    def serve(self):
        self.guest.check(f"killall -q nc; {SERVER}; nc -ll -p {ECHO} -e cat "
                         ">/dev/null 2>&1 &", 60)

    def worker_ns(self):
        """CPU time of who serves the guest: without that the table is a lie."""
        if not host.node_fds(self.guest.pid, NODES[self.module]):
            raise host.HostError(f"QEMU does not hold {NODES[self.module]}")
        return sum(host.workers(self.guest.pid).values())

    def once(self, func, *args):
        before = self.worker_ns()
        figure, done = func(self.addr, *args)
        took = self.worker_ns() - before
        if not done or not took:
            raise host.HostError(f"{self.module}: nothing arrived, or no worker ran")
        return figure, took / 1e6 / done

    def turn(self, is_counted, name, func, *args):
        """A server may have been about to listen again: one more try, counted."""
        try:
            figure, cost = self.once(func, *args)
        except (OSError, host.HostError) as err:
            say(f"{self.module}, {name}, once more: {err}")
            Seat.retries += 1
            self.serve()
            figure, cost = self.once(func, *args)
        if is_counted:
            self.figures.rates[name].append(figure)
            self.figures.costs[name].append(cost)


def take_turns(seats, rows, rounds):
    for number in range(rounds + 1):
        for name, _, _, *how in rows:
            for seat in seats[::-1] if number % 2 else seats:
                seat.turn(number > 0, name, *how)
        say(f"round {number} of {rounds}")


def half(both, rows, rounds):
    """So many rounds of guests that boot in this order."""
    bench = Bench(argparse.Namespace(accel="kvm", cuse=None, node=NODE,
                                     vhostfd=True))
    seats = [Seat(bench, figures) for figures in both]
    try:
        bench.start()
        for seat in seats:
            seat.serve()
        say("guests are up, on " + " and ".join(seat.module for seat in seats))
        take_turns(seats, rows, rounds)
    finally:
        bench.stop()


def spread(values, digits):
    """Median (quartiles)."""
    val = sorted(values)
    quarter = len(val) // 4
    return f"{statistics.median(val):.{digits}f} ({val[quarter]:.{digits}f}.." \
        f"{val[-1 - quarter]:.{digits}f})"


def ratios(theirs, ours):
    """Of a round with its like of the other half, when the guests had changed places."""
    one = [b / a for a, b in zip(theirs, ours)]
    middle = len(one) // 2
    return [math.sqrt(a * b) for a, b in zip(one[:middle], one[middle:])]


def table(both, rows):
    """The lines to print: in-tree, ours, their ratio."""
    def line(name, theirs, ours):
        digits = 0 if statistics.median(theirs) >= 100 else 1
        return f"{name:30}" + "".join(
            f" {cell:>21}" for cell in (spread(theirs, digits), spread(ours, digits),
                                        spread(ratios(theirs, ours), 2)))

    theirs, ours = both
    heads = [HEADS[figures.module] for figures in both]
    yield f"{'':30} {heads[0]:>21} {heads[1]:>21} {'second / first':>21}"
    for name, unit, part, *_ in rows:
        yield line(f"{name}, {unit}", theirs.rates[name], ours.rates[name])
        yield line(f"  worker, ms/{part}", theirs.costs[name], ours.costs[name])


def run(rows, rounds, modules):
    # this is no test: deadlines are for what hangs
    host.SLOW = 4
    host.modprobe_kvm()
    host.make_bridge()
    for module in set(modules):
        host.load(module, NODES[module])
    both = [Figures(module) for module in modules]
    half(both, rows, rounds // 2)
    half(both[::-1], rows, rounds // 2)
    for module in set(modules):
        host.unload(module)
    print("", *table(both, rows), sep="\n")
    print(f"\nMedian (quartiles) of {rounds // 2 * 2} rounds, A B B A; a ratio is that of "
          "two rounds between which the\nguests changed places. Of an emulated machine: "
          "figures say nothing of a real one, and ratios\nno more than those of "
          "--ours-twice are away from 1.")
    if Seat.retries or Guest.retries:
        print(f"{Seat.retries} turns and {Guest.retries} starts were tried again")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-r", dest="rounds", type=int, default=12,
                        choices=range(2, 33))
    parser.add_argument("-c", dest="parts", action="append", default=[])
    parser.add_argument("--ours-twice", action="store_true")
    opts = parser.parse_args()
    rows = [row for row in ROWS if not opts.parts or
            any(part in row[0] for part in opts.parts)]
    if not rows:
        sys.exit(f"no such row: {', '.join(row[0] for row in ROWS)}")
    try:
        run(rows, opts.rounds, [OURS if opts.ours_twice else host.IN_TREE, OURS])
    except (OSError, host.HostError, GuestError) as err:
        sys.exit(f"FAILED: {err}")


if __name__ == "__main__":
    main()
