# SPDX-License-Identifier: GPL-2.0-only
"""Guests of a node that a program serves by libvhx-cuse."""
import os
import re
import subprocess
import time

import cases
import host

PATCH = []                          # the program and what it says


def start(program, node):
    """Have the node served, by tools/testing/cuse/patch.c."""
    host.sh("modprobe", "cuse")
    said = open(os.path.join(os.environ["VHX_OUT"], "patch.txt"), "w+")
    PATCH[:] = [subprocess.Popen([program, os.path.basename(node)],
                                 stderr=said), said]
    wait(lambda: host.is_node(node), f"no {node}")


def stop(node):
    """It ends in order, and so does its node."""
    PATCH[0].terminate()
    status = PATCH[0].wait(10)
    if status:
        raise host.HostError(f"it ended with {status}: {heard()[-300:]}")
    wait(lambda: not os.path.exists(node), f"{node} is still there")


def wait(is_so, what, secs=10):
    deadline = time.monotonic() + secs
    while not is_so():
        if time.monotonic() > deadline or PATCH[0].poll():
            raise host.HostError(f"{what}: {heard()[-300:]}")
        time.sleep(0.05)


def heard():
    PATCH[1].seek(0)
    return PATCH[1].read()


def moved(bench):
    """Frames went through the program, and nowhere else."""
    host.ping(bench.addr(0))
    downs = len(re.findall(" down, ", heard()))
    bench.guests[0].qmp("set_link", name="n0", up=False)
    wait(lambda: len(re.findall(" down, ", heard())) > downs, "not stopped")
    last = re.findall(r"down, (\d+) in, (\d+) out", heard())[-1]
    bench.guests[0].qmp("set_link", name="n0", up=True)
    host.wait_ping(bench.addr(0), 30 * bench.slow)
    if min(map(int, last)) < 5:
        raise host.HostError(f"frames: {last}")
    return f"{last[0]} in, {last[1]} out"


def carrier(tap):
    with open(f"/sys/class/net/{tap}/carrier") as file:
        return file.read().strip()


def tap_is_cut(bench):
    """The tap has no carrier while its guest is served."""
    tap = bench.guests[0].nets[0].tap
    if carrier(tap) != "0":
        raise host.HostError(f"{tap} has carrier")


def owner_killed(bench):
    """SIGKILL of QEMU under traffic: the device goes, the node serves on."""
    downs = len(re.findall(" down, ", heard()))
    with host.Flood(bench.addr(0)):
        bench.guests[0].kill()
        wait(lambda: len(re.findall(" down, ", heard())) > downs, "not down")
    bench.guests[0].start()
    bench.serve(bench.guests[0])
    host.wait_ping(bench.addr(0))
    host.ping(bench.addr(0))


def private_memory(bench):
    """Memory that is not shared is refused with what to do about it, and QEMU
    serves its guest alone."""
    guest = bench.guests[0]
    guest.stop()
    guest.is_shared = False
    guest.start()
    wait(lambda: "memory-backend-memfd" in heard(), "nothing was said")
    if "falling back" not in guest.read("qemu.txt"):
        raise host.HostError("QEMU: " + guest.read("qemu.txt"))
    guest.stop()


def group(bench, case):
    bench.add()
    if not case("cuse_boot_ok", bench.start):
        return
    case("cuse_frames_seen_ok", moved, bench)
    case("cuse_tap_is_cut_ok", tap_is_cut, bench)
    for name, func, *args in cases.TRAFFIC:
        case("cuse_" + name, func, bench, *args)
    case("cuse_unbind_under_traffic_ok", cases.unbind, bench)
    case("cuse_queue_reset_ok", cases.queue_reset, bench)
    case("cuse_reset_under_traffic_ok", cases.reset, bench)
    case("cuse_owner_killed_ok", owner_killed, bench)
    case("cuse_private_memory_refused_ok", private_memory, bench)
