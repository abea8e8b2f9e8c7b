#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""demo-inside.py MODULE MODULE: the same guest through each, then a table.

Runs in L1 for demo.sh.  Fails unless every part of the table is there.
"""
import statistics
import sys
import time

import host
from guest import Guest, Net
from hits import Path

NODE = "/dev/vhost-net"
TAP, GUEST = "vhxtap0", "10.77.0.2"
PINGS, ROUNDS, SECS = 10, 3, 3
BEGAN = time.monotonic()


def say(text):
    print(f"        {time.monotonic() - BEGAN:4.0f} s in the machine: {text}",
          flush=True)


def rate(*options):
    """Median of some short runs: two emulated CPUs scatter widely."""
    return statistics.median(host.mbits(host.iperf(GUEST, SECS, *options))
                             for _ in range(ROUNDS))


def measure(module):
    """The rows of one column."""
    row = {"module": module, "node": NODE}
    host.load(module, NODE)
    say(f"{module} serves {NODE}; starting a guest: vhost=on, nothing else")
    host.make_tap(TAP)
    with Guest([Net(TAP, "52:54:00:77:00:02", GUEST + "/24")]) as guest:
        row["guest kernel"] = guest.release
        say("guest is up; ping, then TCP both ways")
        guest.check("iperf3 -s -D")
        host.wait_ping(GUEST)
        with Path("kvm") as path:
            host.ping(GUEST, PINGS)
        row["kicks, calls"] = (path.kicks, path.calls)
        row["ping, ms"] = host.ping(GUEST, PINGS)
        row["TCP to guest, Mbit/s"] = rate()
        row["TCP from guest, Mbit/s"] = rate("-R")
        row["workers"] = host.workers(guest.pid)
        row["worker"] = f"vhost-{guest.pid}"
        row["fds"] = host.node_fds(guest.pid, NODE)
    host.drop_tap(TAP)
    host.unload(module)
    say(f"{module}: guest gone, module unloaded")
    return row


def complaints(row):
    """What would make the table a lie."""
    if not row["workers"] or sum(row["workers"].values()) <= 0:
        yield "no worker thread with CPU time"
    if not row["fds"]:
        yield f"QEMU does not hold {NODE}"
    kicks, calls = row["kicks, calls"]
    if not kicks or kicks < PINGS or not calls:
        yield f"{kicks} kicks and {calls} calls in {PINGS} pings"
    for name in ("TCP to guest, Mbit/s", "TCP from guest, Mbit/s"):
        if row[name] <= 0:
            yield f"{name}: nothing"


def table(ours, tree):
    """The lines to print."""
    def line(name, left, right, ratio=""):
        return f"{name:24} {left:>20} {right:>20} {ratio:>15}".rstrip()

    def seen(row):
        return f"{row['worker']}, {sum(row['workers'].values()) / 1e9:.1f} s CPU"

    yield line("", "ours", "in-tree", "ours ÷ in-tree")
    for name in ("module", "node", "guest kernel"):
        yield line(name, ours[name], tree[name])
    yield line("worker thread seen", seen(ours), seen(tree))
    yield line(f"kicks, calls ({PINGS} pings)",
               *(f"{r['kicks, calls'][0]}, {r['kicks, calls'][1]}"
                 for r in (ours, tree)))
    for name in ("ping, ms", "TCP to guest, Mbit/s", "TCP from guest, Mbit/s"):
        digits = 1 if "ping" in name else 0
        yield line(name, f"{ours[name]:.{digits}f}", f"{tree[name]:.{digits}f}",
                   f"{ours[name] / tree[name]:.2f}")


def main():
    host.modprobe_kvm()
    host.make_bridge()
    rows = [measure(module) for module in sys.argv[1:]]
    print()
    print("\n".join(table(*rows)))
    print(f"\nMedian of {ROUNDS} runs of {SECS} s under two levels of "
          "emulation: the figures scatter,\nread the ratio, and that not "
          "finely.")
    if Guest.retries:
        print(f"{Guest.retries} retries after a guest fell silent")
    bad = [f"{row['module']}: {text}" for row in rows
           for text in complaints(row)]
    print("\n".join(f"FAILED: {text}" for text in bad), flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
