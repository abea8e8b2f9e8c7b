#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""demo-inside.py MODULE MODULE: a guest on each, in turns, then a table.

Runs in L1 for demo.sh.  Fails unless every part of the table is there.

The emulator translates code when it first runs, so whoever comes second finds
the kernel warm: two runs one after the other cannot be compared.  Hence both
guests live in one boot and take short turns, A B B A, after one turn each that
does not count.  In-tree has /dev/vhost-net only, so ours, which is first seen
to serve that node, has another one then.
"""
import argparse
import collections
import statistics
import sys
import time

import host
from bench import Bench
from guest import Guest, GuestError
from hits import Path

OURS, NODE = "vhx_net", "/dev/vhost-net"
NODES = {OURS: NODE + "-vhx", host.IN_TREE: NODE}
HEADS = {OURS: "ours", host.IN_TREE: "in-tree"}
PING, TCP = "ping, ms", {"TCP to guest": (), "TCP from guest": ("-R",)}
PINGS, ROUNDS, SECS = 4, 6, 1
BEGAN = time.monotonic()


def say(text):
    print(f"        {time.monotonic() - BEGAN:4.0f} s in the machine: {text}",
          flush=True)


class Seat:
    """A guest on a module's node; figures by name, one a round."""

    def __init__(self, bench, module, node, vhostfd):
        self.module, self.node = module, node
        self.addr = bench.addr(len(bench.guests))
        self.guest = bench.add(node=node, vhostfd=vhostfd)
        self.worker = ""
        self.figures = collections.defaultdict(list)

    def ping(self):
        self.figures[PING].append(host.ping(self.addr, PINGS))

    def tcp(self, name, path):
        before = path.read()
        end = host.iperf(self.addr, SECS, *TCP[name])
        kicks, calls = (now - then for now, then in zip(path.read(), before))
        megabytes = end["sum_received"]["bytes"] / 1e6
        if not megabytes:
            raise host.HostError(f"{self.module}, {name}: nothing arrived")
        self.figures[f"{name}, Mbit/s"].append(host.mbits(end))
        self.figures[f"{name}, kicks/MB"].append(kicks / megabytes)
        self.figures[f"{name}, calls/MB"].append(calls / megabytes)

    def see_worker(self):
        """Who serves the guest: without that the table is a lie."""
        nanoseconds = sum(host.workers(self.guest.pid).values())
        if nanoseconds <= 0:
            raise host.HostError(f"{self.module}: no worker thread that ran")
        if not host.node_fds(self.guest.pid, self.node):
            raise host.HostError(f"QEMU does not hold {self.node}")
        self.worker = f"vhost-{self.guest.pid}, {nanoseconds / 1e9:.1f} s CPU"


def show_drop_in(bench, path):
    """Ours on in-tree's node, for a QEMU that is told nothing of it."""
    host.load(OURS, NODE)
    say(f"{OURS} serves {NODE}; starting a guest: vhost=on, nothing else")
    seat = Seat(bench, OURS, NODE, vhostfd=False)
    bench.start()
    before = path.read()
    seat.ping()
    kicks, calls = (now - then for now, then in zip(path.read(), before))
    seat.see_worker()
    say(f"{PINGS} pings and one on top: {kicks} kicks, {calls} calls; "
        f"{seat.worker}")
    # host.ping does not wait for the answer to the one on top
    if kicks < PINGS or not calls:
        raise host.HostError("fewer kicks or calls than pings")
    bench.stop()
    host.unload(OURS)


def take_turns(seats, path):
    """Each thing by all, then the next one; every other round backwards."""
    for number in range(ROUNDS + 1):
        order = seats[::-1] if number % 2 else seats
        for seat in order:
            seat.ping()
        for name in TCP:
            for seat in order:
                seat.tcp(name, path)
        if number == 0:
            for seat in seats:
                seat.figures.clear()


def compare(bench, modules, path):
    """The two seats after their turns."""
    for module in sorted(set(modules)):
        host.load(module, NODES[module])
    nodes = [NODES[module] for module in modules]
    say(f"starting a guest on {nodes[0]} and another one on {nodes[1]}")
    seats = [Seat(bench, *pair, vhostfd=True) for pair in zip(modules, nodes)]
    bench.start()
    say(f"both are up; {ROUNDS} rounds in turns: ping, then TCP both ways")
    take_turns(seats, path)
    for seat in seats:
        seat.see_worker()
    bench.stop()
    for module in set(modules):
        host.unload(module)
    return seats


def spread(values, digits):
    return (f"{statistics.median(values):.{digits}f} "
            f"({min(values):.{digits}f}..{max(values):.{digits}f})")


def table(left, right):
    """The lines to print."""
    def line(name, *cells):
        return f"{name:24}" + "".join(f" {c:>23}" for c in cells).rstrip()

    heads = [HEADS[seat.module] for seat in (left, right)]
    yield line("", *heads, " ÷ ".join(heads))
    yield line("module", left.module, right.module)
    yield line("node", left.node, right.node)
    yield line("worker thread seen", left.worker, right.worker)
    yield line("guest kernel", left.guest.release, right.guest.release)
    for name, mine in left.figures.items():
        theirs = right.figures[name]
        is_count = name.endswith("/MB")
        digits = 0 if "Mbit" in name else 1
        yield line(name, spread(mine, digits), spread(theirs, digits),
                   "" if is_count else
                   spread([a / b for a, b in zip(mine, theirs)], 2))


def run(modules):
    bench = Bench(argparse.Namespace(accel="kvm", cuse=None, node=NODE,
                                     vhostfd=False))
    host.modprobe_kvm()
    host.make_bridge()
    # once for all: the fewer times the kernel patches itself, the better
    with Path("kvm") as path:
        if None in path.read():
            raise host.HostError(f"cannot be traced: {path.hits.counts}")
        show_drop_in(bench, path)
        seats = compare(bench, modules, path)
    print()
    print("\n".join(table(*seats)))
    print(f"\nMedian (lowest..highest) of {ROUNDS} rounds; a ratio is that of two "
          "turns side by side.  Two guests on the\nsame module differ too, on a "
          "busy machine by a factor of two: demo.sh --ours-twice shows how far.")
    if Guest.retries:
        print(f"{Guest.retries} retries after a guest fell silent")


def main():
    try:
        run(sys.argv[1:])
    except (host.HostError, GuestError) as err:
        print(f"FAILED: {err}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
