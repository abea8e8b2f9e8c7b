#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Real guests through a vhost node: KTAP on stdout.

Runs in L1: vm run -g 6.12 6.1 -- tools/testing/vm/guests.py --module vhost_net
Names are guest.<variant>.<behaviour>, the last word is the outcome.
"""
import argparse
import os
import sys

import cases
import cuse
import host
import migrate
import ovs
import switch
import testpmd
import top
import viommu
from bench import Bench, Suite, log
from guest import Guest

PACKED = 34                         # VIRTIO_F_RING_PACKED


def group_pair(bench, case):
    bench.add()
    bench.add()
    if not case("boot_ok", bench.start):
        return
    case("worker_seen_ok", cases.worker_seen, bench)
    case("kicks_and_calls_ok", cases.kicks_and_calls, bench)
    for name, func, *args in cases.TRAFFIC:
        case(name, func, bench, *args)
    case("udp_to_guest_ok", cases.udp, bench)
    case("udp_from_guest_ok", cases.udp, bench, "-R")
    case("ping_guest_ok", cases.ping_guest, bench)
    case("tcp_guest_guest_ok", cases.tcp_guest_guest, bench)
    case("file_guest_guest_ok", cases.file_guest_guest, bench)
    bench.guests.pop().stop()
    case("unbind_under_traffic_ok", cases.unbind, bench)
    case("queue_reset_ok", cases.queue_reset, bench)
    case("reset_under_traffic_ok", cases.reset, bench)
    case("owner_killed_ok", cases.owner_killed, bench)


def group_mq(bench, case):
    bench.add(cpus=2, queues=2)
    if not case("mq_boot_ok", bench.start):
        return
    case("mq_both_queues_ok", cases.both_queues, bench)
    case("mq_worker_per_queue_ok", cases.workers_per_queue, bench)
    case("mq_change_queues_ok", cases.change_queues, bench)


def group_nomrg(bench, case):
    bench.add(device="mrg_rxbuf=off")
    if not case("nomrg_boot_ok", bench.start):
        return
    case("nomrg_features_ok", cases.features_off, bench, 15)
    for name, func, *args in cases.TRAFFIC:
        case("nomrg_" + name, func, bench, *args)


def group_packed(bench, case):
    """Packed rings in two queue pairs; in order where QEMU and the guest know
    it; the other guest's rings are split."""
    knows_in_order = bench.opts.qemu in ("10.0", "11.1")
    bench.add(cpus=2, queues=2, device="packed=on" +
              (",in_order=on" if knows_in_order else ""))
    bench.add()
    if not case("packed_boot_ok", bench.start):
        return
    case("packed_features_ok", cases.features_on, bench, PACKED)
    if knows_in_order:
        case("packed_in_order_ok", cases.in_order, bench)
    case("packed_kicks_and_calls_ok", cases.kicks_and_calls, bench)
    for name, func, *args in cases.TRAFFIC:
        case("packed_" + name, func, bench, *args)
    case("packed_tcp_guest_guest_ok", cases.tcp_guest_guest, bench)
    case("packed_file_guest_guest_ok", cases.file_guest_guest, bench)
    bench.guests.pop().stop()
    case("packed_both_queues_ok", cases.both_queues, bench)
    case("packed_change_queues_ok", cases.change_queues, bench)
    case("packed_unbind_under_traffic_ok", cases.unbind, bench)
    case("packed_queue_reset_ok", cases.queue_reset, bench)
    case("packed_reset_under_traffic_ok", cases.reset, bench)
    case("packed_owner_killed_ok", cases.owner_killed, bench)


def group_legacy(bench, case):
    bench.add(machine="q35", device="disable-modern=on")
    if not case("legacy_boot_ok", bench.start):
        return
    case("legacy_features_ok", cases.features_off, bench, 32)
    for name, func, *args in cases.TRAFFIC:
        case("legacy_" + name, func, bench, *args)


def group_one(bench, case):
    """The short form, for guests under TCG inside TCG: some 25 times slower."""
    bench.add()
    if not case("boot_ok", bench.start):
        return
    case("worker_seen_ok", cases.worker_seen, bench)
    case("kicks_and_calls_ok", cases.kicks_and_calls, bench)
    for name, func, *args in cases.TRAFFIC:
        case(name, func, bench, *args)
    case("unbind_under_traffic_ok", cases.unbind, bench)


def group_one_packed(bench, case):
    """The short form with packed rings."""
    bench.add(device="packed=on")
    if not case("packed_boot_ok", bench.start):
        return
    case("packed_features_ok", cases.features_on, bench, PACKED)
    for name, func, *args in cases.TRAFFIC:
        case("packed_" + name, func, bench, *args)
    case("packed_unbind_under_traffic_ok", cases.unbind, bench)


GROUPS = {"pair": group_pair, "mq": group_mq, "nomrg": group_nomrg,
          "legacy": group_legacy, "packed": group_packed, "one": group_one,
          "one-packed": group_one_packed, "migrate": migrate.group,
          "migrate-packed": migrate.group_packed, "viommu": viommu.group,
          "viommu-lazy": viommu.group_lazy,
          "viommu-packed": viommu.group_packed, "ovs": ovs.group,
          "testpmd": testpmd.group, "cuse": cuse.group,
          "switch": switch.group, "top": top.group}
DEFAULT_GROUPS = {"kvm": "pair,mq,nomrg,legacy", "tcg": "one"}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--node", default="/dev/vhost-net")
    parser.add_argument("--vhostfd", action="store_true",
                        help="open taps and node here, pass descriptors")
    parser.add_argument("--accel", default="kvm", choices=("kvm", "tcg"))
    parser.add_argument("--module", choices=("vhx_net", host.IN_TREE),
                        help="load it first, and see that it unloads")
    parser.add_argument("--qemu", default="", metavar="7.2|10.0|11.1|PATH",
                        help="the machine's own, or that of vm run -r qemu-...")
    parser.add_argument("--cuse", metavar="PROGRAM",
                        help="serve the node by tools/testing/cuse/patch.c")
    parser.add_argument("--switch", metavar="PROGRAM",
                        help="vhx-switch, for the group of that name")
    parser.add_argument("--top", metavar="PROGRAM",
                        help="vhx-top, for the group of that name")
    parser.add_argument("--migrations", type=int, default=10, metavar="N",
                        choices=range(1, 11),
                        help="of a guest in a row, 10 unless given")
    parser.add_argument("--variant", help="second word of the names")
    parser.add_argument("--groups", help="of " + ",".join(GROUPS))
    parser.add_argument("--only", help="regular expression on the names")
    opts = parser.parse_args()
    opts.groups = opts.groups or DEFAULT_GROUPS[opts.accel]
    if opts.node != "/dev/vhost-net":
        opts.vhostfd = True
    return opts


def main():
    opts = parse()
    Guest.qemu = host.qemu(opts.qemu)
    host.SLOW = 1 if opts.accel == "kvm" else 5
    suite = Suite(opts.variant or opts.accel, opts.only)
    print("KTAP version 1", flush=True)
    host.sh("modprobe", "tun")
    if opts.accel == "kvm":
        host.modprobe_kvm()
    if opts.module:
        suite.case("load_ok", host.load, opts.module, opts.node)
    if opts.cuse:
        suite.case("load_ok", cuse.start, opts.cuse, opts.node)
    if not host.is_node(opts.node):
        print(f"Bail out! no {opts.node}")
        return 1
    host.make_bridge()
    for name in opts.groups.split(","):
        suite.group(lambda: run_group(opts, suite, GROUPS[name]))
    host.drop_bridge()
    if opts.module:
        suite.case("unload_ok", host.unload, opts.module)
    if opts.cuse:
        suite.case("unload_ok", cuse.stop, opts.node)
    return not suite.end()


def run_group(opts, suite, group):
    """One group, with guests of its own."""
    bench = Bench(opts)
    try:
        group(bench, suite.case)
        for guest in bench.guests:
            if suite.has_failed() and guest.proc:
                log(f"{guest.name}: " + "\n# ".join(guest.tail()))
    finally:
        bench.stop()


if __name__ == "__main__":
    os.chdir("/")
    sys.exit(main())
