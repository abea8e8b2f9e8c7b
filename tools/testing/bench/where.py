#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Prints where a worker's instructions go, of what `net.sh --where` left in a folder.

usage: where.py FOLDER

FOLDER has blocks (of where.c), measured (of net_bench -w), kallsyms and symbols
(of vhx_net.ko, by readelf).
"""
import bisect
import collections
import re
import sys

RING = {"split.c", "packed.c", "chain.c"}
OWN = {"vhost_net", "vhost", "vhost_iotlb", "vhx_net"}
TAP = {"tun", "tap", "macvtap", "macvlan", "veth"}
FUNCTIONS = 25                  # of the second table
# Rows of the first table: name, names of functions. The first that fits counts; our
# own and the tap's are known by their modules.
GROUPS = (
    ("copies", r"copy_(from|to)|copy_user|rep_(movs|stos)|memcpy|memmove|iov_iter|"
     r"iovec|import_ubuf|check_(object|stack|heap)|__virt_addr_valid|is_vmalloc|"
     r"fault_in|[gp][eu]t_user|clear_user|datagram_iter"),
    ("network stack", r"netif_|netdev|net_[rt]x|eth_|dev_|flow_dissect|gro_|ip_rcv|"
     r"xmit|softirq|_bh_|qdisc|packet_|backlog|timestamp|napi_(?!consume|skb)"),
    ("skb and memory", r"skb|slab|slub|kmem|kfree|kmalloc|page|freelist|rmqueue|"
     r"put_cpu_partial|sheaf|barn|memset|watermark"),
    ("wake-ups and scheduler", r"sched|queue|wake|wait|switch|task|psi|eventfd|poll|"
     r"[^i]rq|ttwu|load_avg|curr|prev|clock|_(fair|rt|dl|entity)(_|$)|pick|cpupri|"
     r"fpregs|fpstate|cpuacct|record_times|load_tls|gsbase|xfd|util"),
)


def source_files(path):
    """Local functions of our module, by the name of the file that they are of."""
    files, name = {}, ""
    with open(path, encoding="utf-8") as file:
        for words in map(str.split, file):
            if len(words) == 8 and words[3] == "FILE":
                name = words[7]
            elif len(words) == 8 and words[3:5] == ["FUNC", "LOCAL"]:
                files[words[7]] = name
    return files


class Symbols:
    """Functions by address; each a pair of names, its own and its module's."""

    def __init__(self, folder):
        self.files = source_files(f"{folder}/symbols")
        found = []
        with open(f"{folder}/kallsyms", encoding="utf-8") as file:
            for words in map(str.split, file):
                if words[1] in "tTwW":
                    module = words[3].strip("[]") if len(words) > 3 else ""
                    found.append((int(words[0], 16), (words[2], module)))
        found.sort()
        self.addrs = [addr for addr, _ in found]
        self.names = [name for _, name in found]

    def at(self, addr):
        return self.names[bisect.bisect_right(self.addrs, addr) - 1]

    def is_ring(self, function):
        name, module = function
        file = self.files.get(re.sub(r"\.(cold|constprop|isra|part).*", "", name),
                              self.files.get(name))
        return module == "vhx_net" and (file in RING or
                                        name.startswith("vhx_chain_"))


def group_of(function):
    name, module = function
    if module in OWN:
        return "vhost or vhx_net"
    if module in TAP or name.startswith(("tun_", "tap_", "virtio_net_hdr")):
        return "tun or tap"
    return next((group for group, pattern in GROUPS if re.search(pattern, name)),
                "other")


def segments(path, symbols):
    """Of each measurement, instructions by function."""
    found = []
    with open(path, encoding="utf-8") as file:
        for words in map(str.split, file):
            if words[0] == "segment":
                found.append(collections.Counter())
            else:
                found[-1][symbols.at(int(words[0], 16))] += int(words[1])
    return found


def rows(folder, symbols):
    """Row by row: its name, and of each variant its name, the worker's time a
    packet, and instructions a packet by function."""
    found = {}
    counts = segments(f"{folder}/blocks", symbols)
    with open(f"{folder}/measured", encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("\t") for line in file]
    if len(lines) != len(counts):
        sys.exit(f"where.py: {len(lines)} measurements, {len(counts)} counts")
    for (cell, variant, packets, took), count in zip(lines, counts):
        packets = int(packets)
        found.setdefault(cell, []).append((
            variant, int(took) / packets,
            {name: nr / packets for name, nr in count.items()}))
    return found


def line(name, values):
    print(f"  {name:<44}" + "".join(f"{value:>12.1f}" for value in values))


def print_row(cell, variants, symbols):
    """Groups, then functions."""
    counts = [count for _, _, count in variants]
    sums = [collections.Counter() for _ in counts]
    for count, total in zip(counts, sums):
        for function, nr in count.items():
            total[group_of(function)] += nr
    print(f"{cell:<46}" + "".join(f"{name:>12}" for name, _, _ in variants))
    for group in ("vhost or vhx_net", "tun or tap", *dict(GROUPS), "other"):
        line(group, [total[group] for total in sums])
        if group == "vhost or vhx_net":
            line("  of it the ring engine", [
                sum(nr for name, nr in count.items() if symbols.is_ring(name))
                for count in counts])
    line("all", [sum(total.values()) for total in sums])
    line("all by net_bench", [took for _, took, _ in variants])
    line("apart by, in per cent", [100 * (sum(total.values()) / took - 1)
                                   for total, (_, took, _) in zip(sums, variants)])
    names = sorted(set().union(*counts), key=lambda name: -max(
        count.get(name, 0) for count in counts))
    print()
    for name in names[:FUNCTIONS]:
        line(f"{name[0]}{' ' if name[1] else ''}{name[1]}",
             [count.get(name, 0) for count in counts])
    print()


def main(folder):
    symbols = Symbols(folder)
    for cell, variants in rows(folder, symbols).items():
        print_row(cell, variants, symbols)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
