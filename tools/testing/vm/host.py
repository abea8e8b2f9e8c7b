# SPDX-License-Identifier: GPL-2.0-only
"""The host side of a guest test in L1: modules, bridge, taps, traffic."""
import contextlib
import ctypes
import fcntl
import glob
import hashlib
import http.server
import json
import os
import random
import re
import socket
import socketserver
import stat
import subprocess
import threading
import time
import urllib.request

import arch
from guest import PATIENCE

ADDR = "10.77.0.1"
BRIDGE = "vhxbr0"
IN_TREE = "vhost_net"
KVM_CREATE_VM, KVM_CREATE_VCPU, KVM_CREATE_IRQCHIP = 0xae01, 0xae41, 0xae60
SO_TIMESTAMP, SYS_IO_URING_SETUP = 29, 425
KEPT = []                           # see modprobe_kvm


class HostError(Exception):
    """A command of the host failed."""


def sh(*argv, timeout=60):
    """Run a command that must succeed: its output."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, timeout=timeout,
                          check=False)
    if done.returncode != 0:
        raise HostError(f"{' '.join(argv)}: {done.returncode}: "
                        f"{done.stdout.strip()[-300:]}")
    return done.stdout


def enter_root(name):
    """Words that run a command in the root that vm run -r made."""
    root = os.environ.get("VHX_ROOT_" + re.sub("[^a-z0-9]", "_", name))
    if not root:
        raise HostError(f"no root {name}: vm run -r {name}")
    for path in ("/dev", "/proc", "/sys", "/run", "/tmp",
                 os.environ["VHX_CACHE"]):
        if not os.path.ismount(root + path):
            os.makedirs(root + path, exist_ok=True)
            sh("mount", "--bind", path, root + path)
    return ["chroot", root]


def qemu(version):
    """Words that run a QEMU: the machine's own, of a root, or a path."""
    if "/" in version:
        return [version]
    name = arch.of_guests().qemu
    own = sh(name, "--version").split("version ")[1]
    if not version or own.startswith(version + "."):
        return [name]
    return [*enter_root(f"qemu-{version}"), name]


def load(module, node, *params):
    """Make a module serve the node: ours from VHX_KO, or in-tree."""
    for name in ("tun", "tap", "macvtap"):
        sh("modprobe", name)
    if module == IN_TREE:
        sh("modprobe", module)
    else:
        name = os.path.basename(node)
        ko = os.environ["VHX_KO"]
        for dep in sh("modinfo", "-F", "depends", ko).strip().split(","):
            if dep:
                sh("modprobe", dep)
        sh("insmod", ko, *params,
           *([] if name == "vhost-net" else [f"node={name}"]))
    deadline = time.monotonic() + 5
    while not is_node(node):
        if time.monotonic() > deadline:
            raise HostError(f"{module} made no {node}")
        time.sleep(0.05)


def is_node(path):
    return os.path.exists(path) and stat.S_ISCHR(os.stat(path).st_mode)


def unload(module):
    sh("rmmod", module)


def pinned():
    """Processes and interrupts that are bound to CPUs: l1-init's watch is."""
    everywhere = set(range(os.cpu_count()))
    tasks, irqs = {}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            cpus = os.sched_getaffinity(int(pid))
            if cpus < everywhere:
                tasks[int(pid)] = cpus
    for path in glob.glob("/proc/irq/*/smp_affinity_list"):
        with contextlib.suppress(OSError), open(path) as file:
            irqs[path] = file.read()
    return tasks, irqs


def pin_again(tasks, irqs):
    """A CPU that goes loses what was bound to it, and does not get it back."""
    for pid, cpus in tasks.items():
        with contextlib.suppress(OSError):      # gone, or a kernel thread
            os.sched_setaffinity(pid, cpus)
    for path, cpus in irqs.items():
        with contextlib.suppress(OSError), open(path, "w") as file:
            file.write(cpus)


@contextlib.contextmanager
def one_cpu():
    """The other CPUs are off while a kernel patches itself: an emulated CPU that
    translates code during that goes on with the breakpoint, now and then for
    ever. To keep them in user space is not enough: kernel threads run there."""
    def switch(on):
        for path in glob.glob("/sys/devices/system/cpu/cpu[1-9]*/online"):
            with open(path, "w") as file:
                file.write(on)

    bound = pinned()
    switch("0")
    try:
        yield
    finally:
        switch("1")
        pin_again(*bound)


def modprobe_kvm():
    """KVM, and what keeps the kernel from patching itself at each turn.

    By static keys the first and the last machine switch the scheduler's preempt
    notifiers, the first and the last vCPU that has its APIC off (a guest at its
    start or reset) each look at an APIC, the first and the last ring of io_uring
    (QEMU's main loop) how it submits, the first and the last ping packet
    timestamps; two emulated CPUs now and then run into the breakpoint of that
    ("Oops: int3")."""
    sh("modprobe", "kvm_amd")
    kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    with one_cpu():
        machine = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
        fcntl.ioctl(machine, KVM_CREATE_IRQCHIP, 0)
        KEPT.extend((machine, fcntl.ioctl(machine, KVM_CREATE_VCPU, 0)))
        KEPT.append(ctypes.CDLL(None).syscall(SYS_IO_URING_SETUP, 1,
                                              ctypes.create_string_buffer(120)))
        KEPT.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        KEPT[-1].setsockopt(socket.SOL_SOCKET, SO_TIMESTAMP, 1)


# -- links -----------------------------------------------------------------

def no_ipv6():
    with open("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w") as file:
        file.write("1")


def make_bridge():
    no_ipv6()
    sh("modprobe", "bridge")
    sh("ip", "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0",
       "stp_state", "0")
    sh("ip", "addr", "add", f"{ADDR}/24", "dev", BRIDGE)
    sh("ip", "link", "set", BRIDGE, "up")


def drop_bridge():
    sh("ip", "link", "del", BRIDGE)


@contextlib.contextmanager
def no_bridge():
    """For a group that has another way between its guests, or none."""
    drop_bridge()
    try:
        yield
    finally:
        make_bridge()


def make_tap(name, queues=1):
    many = ["multi_queue"] if queues > 1 else []
    sh("ip", "tuntap", "add", name, "mode", "tap", "vnet_hdr", *many)
    if os.path.exists(f"/sys/class/net/{BRIDGE}"):
        sh("ip", "link", "set", name, "master", BRIDGE)
    sh("ip", "link", "set", name, "up")


def drop_tap(name):
    sh("ip", "link", "del", name)


# -- who serves a guest ----------------------------------------------------

def workers(pid):
    """CPU nanoseconds of the worker threads of an owner, by thread id.

    A kthread has the owner's id in its name; a vhost_task is one of the
    owner's own threads under that name."""
    found = {}
    tasks = [f"/proc/{p}" for p in os.listdir("/proc") if p.isdigit()]
    tasks += [f"/proc/{pid}/task/{t}" for t in os.listdir(f"/proc/{pid}/task")]
    for task in tasks:
        try:
            with open(f"{task}/comm") as file:
                if file.read().strip() != f"vhost-{pid}":
                    continue
            with open(f"{task}/schedstat") as file:
                found[os.path.basename(task)] = int(file.read().split()[0])
        except OSError:
            pass
    return found


def node_paths(pid, node):
    """/proc/PID/fd/N of the descriptors of a process that are open on the node."""
    rdev = os.stat(node).st_rdev
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{name}"
        try:
            info = os.stat(path)
        except OSError:
            continue
        if stat.S_ISCHR(info.st_mode) and info.st_rdev == rdev:
            found.append(path)
    return found


def node_fds(pid, node):
    return len(node_paths(pid, node))


# -- traffic ---------------------------------------------------------------

# A guest under TCG in TCG answers after a second; main() of the caller says so
SLOW = 1


def ping(addr, count=5, size=56):
    """Ping that must get every answer: mean round trip in ms.

    For the answer to the last request ping waits two round trips, -W or not,
    which on a busy machine is short: so that one is on top.  A guest under TCG
    loses frames, before they reach the ring, while what sends them is
    translated for the first time; with in-tree as well."""
    if SLOW > 1:
        for _ in range(2):
            wait_ping(addr, 30, size)
    out = sh("ping", "-c", str(count + 1), "-i", str(0.2 * SLOW),
             "-W", str(3 * SLOW), "-s", str(size), addr)
    seen = set(map(int, re.findall(r"bytes from .*icmp_seq=(\d+)", out)))
    if not seen >= set(range(1, count + 1)):
        raise HostError(f"ping {addr}: {out.strip()}")
    return float(out.split("mdev = ")[1].split("/")[1])


def wait_ping(addr, secs=30, size=56):
    """Until the first answer of a guest that comes back."""
    deadline = time.monotonic() + secs * PATIENCE
    while subprocess.run(["ping", "-q", "-c", "1", "-W", str(SLOW), "-s",
                          str(size), addr], check=False,
                         stdout=subprocess.DEVNULL).returncode:
        if time.monotonic() > deadline:
            raise HostError(f"{addr} does not answer")


def iperf(addr, secs, *options):
    """iperf3 to a guest's server: the summary of its JSON."""
    argv = ["iperf3", "-c", addr, "-t", str(secs), "-J", "--connect-timeout",
            str(10000 * SLOW), *options]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True,
                          timeout=PATIENCE * (secs + 30 + 30 * SLOW), check=False)
    return iperf_end(done.stdout)


def iperf_end(text):
    result = json.loads(text)
    if "error" in result:
        raise HostError(f"iperf3: {result['error']}")
    return result["end"]


def mbits(end):
    """Mbit/s that arrived."""
    return end["sum_received"]["bits_per_second"] / 1e6


class Flood:
    """Packets towards a guest, and their answers, while it lasts."""

    def __init__(self, addr, size=1000):
        self.argv = ["ping", "-q", "-f", "-s", str(size), addr]
        self.proc = None

    def __enter__(self):
        self.proc = subprocess.Popen(self.argv, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *exc):
        self.proc.terminate()
        self.proc.wait()


class FileServer:
    """One blob over HTTP on the bridge's address."""

    def __init__(self, length, seed=1):
        blob = random.Random(seed).randbytes(length)
        self.sha256 = hashlib.sha256(blob).hexdigest()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(blob)))
                self.end_headers()
                self.wfile.write(blob)

            def log_message(self, *args):
                pass

        self.server = socketserver.ThreadingTCPServer((ADDR, 0), Handler)
        self.url = f"http://{ADDR}:{self.server.server_address[1]}/blob"
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def fetch_sha256(url, timeout=60):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return hashlib.sha256(answer.read()).hexdigest()
