# SPDX-License-Identifier: GPL-2.0-only
"""Three guests, of which one is idle, one flooded and one broken, as vhx-top sees
them."""
import json
import os
import re
import struct
import subprocess

import host
from bench import log
from guest import GuestError

IDLE, FLOODED, BROKEN = range(3)
NEXT_WRITE = 3                      # flags of a descriptor
RING = 256                          # entries of QEMU's rings
NAMES = [f"guest{i}" for i in range(3)]


def look(bench):
    """The devices by the names of their machines."""
    text = host.sh(bench.opts.top, "--json", "-d", "3")
    return {device["vm"]: device for device in json.loads(text)["devices"]}


def wait_for(bench, what, is_right):
    for _ in range(5):
        seen = look(bench)
        if sorted(seen) == NAMES and is_right(seen):
            return seen
    raise GuestError(f"no {what}: " + ", ".join(
        f"{name} {device['verdict']} ({device['why']})"
        for name, device in seen.items()))


def all_seen(bench):
    def is_right(seen):
        return {seen[name]["verdict"] for name in NAMES} <= {"idle", "ok"}
    seen = wait_for(bench, "quiet guests", is_right)
    for index, name in enumerate(NAMES):
        device = seen[name]
        got = (device["pid"], device["kind"], device["rx"]["ifname"])
        wanted = (bench.guests[index].pid, "vhx", f"vhxtap{index}")
        if got != wanted:
            raise GuestError(f"{got}, not {wanted}")


def ram(pid, size):
    """Where a guest's memory is in its QEMU."""
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            low, high = (int(word, 16) for word in line.split()[0].split("-"))
            if high - low == size and " rw-" in line:
                return low
    raise GuestError("no mapping of the guest's memory")


def break_ring(guest):
    """Each buffer for frames becomes a chain that bites its tail."""
    path, = (device["path"] for device in guest.qmp("x-query-virtio")
             if "net" in device["name"])
    ring = guest.qmp("x-query-virtio-queue-status", path=path, queue=0)
    text = b"".join(struct.pack("<QIHH", 4096, 64, NEXT_WRITE, i)
                    for i in range(RING))
    with open(f"/proc/{guest.pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(ram(guest.pid, 256 << 20) + ring["vring-desc"])
        memory.write(text)


def idle_flooded_broken(bench):
    break_ring(bench.guests[BROKEN])
    subprocess.run(["ping", "-c", "1", "-W", "1", bench.addr(BROKEN)],
                   stdout=subprocess.DEVNULL, check=False)

    def is_right(seen):
        flooded = seen[NAMES[FLOODED]]
        return seen[NAMES[IDLE]]["verdict"] == "idle" and \
            seen[NAMES[BROKEN]]["verdict"] == "broken" and \
            flooded["verdict"] not in ("idle", "broken", "unknown") and \
            flooded["rx"]["frames_per_s"] > 100

    flood = ["iperf3", "-c", bench.addr(FLOODED), "-u", "-b", "0", "-l", "64",
             "-t", "60"]
    with subprocess.Popen(flood, stdout=subprocess.DEVNULL) as proc:
        try:
            wait_for(bench, "idle, flooded and broken guests", is_right)
            log(re.sub("^", "# ", host.sh(bench.opts.top, "--once"),
                       flags=re.M).removeprefix("# ").rstrip())
        finally:
            proc.kill()


def killed_is_gone(bench):
    guest = bench.guests.pop()
    guest.kill()
    NAMES.pop()
    wait_for(bench, "two guests", lambda seen: True)


def group(bench, case):
    if not bench.opts.top or not os.path.exists(bench.opts.top):
        raise GuestError("--top PROGRAM")
    for _ in NAMES:
        bench.add()
    if not case("top_boot_ok", bench.start):
        return
    case("top_all_seen_ok", all_seen, bench)
    case("top_idle_flooded_broken_ok", idle_flooded_broken, bench)
    case("top_killed_is_gone", killed_is_gone, bench)
