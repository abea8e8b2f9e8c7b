#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs in L1: each situation is made by `scene`, and vhx-top has to name it.
Prints KTAP. usage: run.py FOLDER [CASE...], with the programs in FOLDER."""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import traceback

sys.path.insert(0, "tools/testing/vm")
import host                     # noqa: E402

PROGRAMS = sys.argv[1]
NODE = "/dev/vhost-net"
LOOKS = 8               # until the verdict is the right one: others are busy here
CASES = []


def case(module, *params):
    def add(func):
        CASES.append((f"top.{module}.{func.__name__}", module, params, func))
        return func
    return add


class Scene:
    """A client in a situation, until the end of the block."""

    def __init__(self, name, node=NODE):
        self.proc = subprocess.Popen([f"{PROGRAMS}/scene", name],
                                     env={**os.environ, "VHX_NODE": node},
                                     stdin=subprocess.PIPE, text=True,
                                     stdout=subprocess.PIPE)

    def __enter__(self):
        if self.proc.stdout.readline() != "ready\n":
            raise host.HostError(f"no scene: {self.proc.wait()}")
        return self.proc.pid

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.proc.stdin.close()
        self.proc.wait()
        self.proc.stdout.close()


def top(*args):
    return host.sh(f"{PROGRAMS}/vhx-top", *args)


def devices(*args):
    return json.loads(top("--json", *args))["devices"]


def verdict_of(scene, verdict, node=NODE):
    """The device in a scene, once it has that verdict."""
    with Scene(scene, node) as pid:
        for _ in range(LOOKS):
            seen = devices("-d", "2")
            if [device["verdict"] for device in seen] == [verdict]:
                break
        else:
            raise host.HostError(f"not {verdict}: {json.dumps(seen)}")
    expect((pid, "scene"), (seen[0]["pid"], seen[0]["vm"]))
    return seen[0]


def expect(want, got):
    if want != got:
        raise host.HostError(f"expected {want}, got {got}")


def expect_between(low, val, high):
    if not low < val < high:
        raise host.HostError(f"{val} is not between {low} and {high}")


# -- ours ---------------------------------------------------------------------

@case("vhx_net")
def idle_ok():
    device = verdict_of("idle", "idle")
    rx, tx = device["rx"], device["tx"]
    expect("vhx", device["kind"])
    expect(("running", "split", 256), (tx["state"], tx["format"], tx["size"]))
    # its queue is known once a frame came
    expect(("tap", "vt0", None), (rx["backend"], rx["ifname"], rx["queue"]))
    expect(["event_idx", "version_1"], sorted(device["features"]))
    expect(f"vhost-{device['pid']}", rx["worker"]["name"])
    expect(rx["worker"]["tid"], tx["worker"]["tid"])
    expect(False, rx["worker"]["kthread"])


@case("vhx_net")
def stopped_idle():
    expect("stopped", verdict_of("stopped", "idle")["rx"]["state"])


@case("vhx_net")
def pace_ok():
    device = verdict_of("pace", "ok")
    expect("idle", device["rx"]["verdict"])
    expect_between(20, device["tx"]["frames_per_s"], 300)
    expect_between(550, device["tx"]["bytes_per_s"] /
                   device["tx"]["frames_per_s"], 650)


@case("vhx_net")
def no_buffers_guest_limited():
    device = verdict_of("no_buffers", "guest-limited")
    expect("idle", device["tx"]["verdict"])
    expect_between(.2, device["rx"]["guest_wait_share"], 1.01)


@case("vhx_net")
def flood_worker_limited():
    device = verdict_of("flood", "worker-limited")
    expect(0, device["tx"]["worker"]["cpu"])
    expect_between(1, device["tx"]["frames_per_burst"], 65)


@case("vhx_net")
def busy_neighbour_starved():
    device = verdict_of("starved", "starved")
    expect_between(.2, device["tx"]["worker"]["wait_share"], 1.01)


@case("vhx_net")
def slow_reader_backend_limited():
    device = verdict_of("slow_reader", "backend-limited")
    expect_between(.2, device["tx"]["host_wait_share"], 1.01)


@case("vhx_net")
def broken_ring_broken():
    device = verdict_of("broken", "broken")
    expect("failed", device["tx"]["state"])
    expect(f"tx: {device['tx']['cause']}", device["why"])
    expect("idle", device["rx"]["verdict"])


@case("vhx_net")
def list_has_the_device_ok():
    with Scene("broken") as pid:
        head, line, *more = top("--once").splitlines()
    expect([], more)
    if not head.startswith("VM") or str(pid) not in line or "broken" not in line:
        raise host.HostError(line)


@case("vhx_net")
def other_user_sees_worker_alone():
    # others may not enter the folder that it is in
    program = shutil.copy(f"{PROGRAMS}/vhx-top", "/tmp/vhx-top")
    with Scene("idle"):
        text = host.sh("setpriv", "--reuid", "65534", "--clear-groups", program,
                       "--json")
    device, = json.loads(text)["devices"]
    expect(("hidden", None), (device["kind"], device["fd"]))
    expect("idle", device["verdict"])
    expect_between(1, device["rx"]["worker"]["tid"], 1 << 22)


@case("vhx_net")
def ends_between_looks_ok():
    scene = Scene("pace")
    with scene, subprocess.Popen([f"{PROGRAMS}/vhx-top", "--json", "-d", "3"],
                                 stdout=subprocess.PIPE, text=True) as proc:
        time.sleep(1)
        scene.end()
        text, _ = proc.communicate()
    expect((0, []), (proc.returncode, json.loads(text)["devices"]))


@case("vhx_net")
def begins_between_looks_unknown():
    with subprocess.Popen([f"{PROGRAMS}/vhx-top", "--json", "-d", "6"],
                          stdout=subprocess.PIPE, text=True) as proc:
        time.sleep(1)
        with Scene("pace"):
            text, _ = proc.communicate()
    device, = json.loads(text)["devices"]
    expect("unknown", device["verdict"])


@case("vhx_net", "node=vhost-net-vhx")
def other_node_ok():
    device = verdict_of("idle", "idle", "/dev/vhost-net-vhx")
    expect(("vhx", "/dev/vhost-net-vhx"), (device["kind"], device["node"]))


@case("vhx_net", "fork_from_owner_default=N")
def kthread_ok():
    device = verdict_of("flood", "worker-limited")
    expect(True, device["tx"]["worker"]["kthread"])


# -- in-tree ------------------------------------------------------------------

@case("vhost_net")
def idle_by_interface():
    device = verdict_of("idle", "idle")
    expect(("in-tree", "vt0"), (device["kind"], device["rx"]["ifname"]))


@case("vhost_net")
def pace_unknown():
    device = verdict_of("pace", "unknown")
    expect_between(20, device["tx"]["frames_per_s"], 300)


@case("vhost_net")
def in_tree_worker_limited():
    verdict_of("flood", "worker-limited")


@case("vhost_net")
def in_tree_starved():
    verdict_of("starved", "starved")


# -- running ------------------------------------------------------------------

@contextlib.contextmanager
def loaded(module, params):
    node = next((f"/dev/{word[5:]}" for word in params
                 if word.startswith("node=")), NODE)
    host.load(module, node, *[word for word in params if word[:5] != "node="])
    try:
        yield
    finally:
        host.unload(module)


def main():
    cases = [one for one in CASES if not sys.argv[2:] or
             one[3].__name__ in sys.argv[2:]]
    print(f"KTAP version 1\n1..{len(cases)}", flush=True)
    failed = 0
    for number, (name, module, params, func) in enumerate(cases, 1):
        result = "ok"
        try:
            with loaded(module, params):
                func()
        except Exception:       # pylint: disable=broad-except
            result = "not ok"
            failed += 1
            print("# " + traceback.format_exc().strip().replace("\n", "\n# "))
        print(f"{result} {number} {name}", flush=True)
    return bool(failed)


sys.exit(main())
