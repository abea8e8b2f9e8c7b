# SPDX-License-Identifier: GPL-2.0-only
"""DPDK's virtio-user as the driver: the node without a guest or KVM, or a socket of
vhx-switch, which has the tap as its other port.

testpmd opens either itself, its rings lie in its own memory.
"""
import contextlib
import fcntl
import itertools
import os
import re
import select
import socket
import struct
import subprocess
import time

import host

PMDS = "/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_"
TAP = "vhxtap0"
HUGEPAGES = "/proc/sys/vm/nr_hugepages"
SOCKET = "/tmp/vhx-testpmd.sock"
MAC = bytes.fromhex("525400770002")
GET_FEATURES = 0x8008af00
MRG_RXBUF, PACKED, IN_ORDER = 15, 34, 35
ALL = 1 << MRG_RXBUF | 1 << PACKED | 1 << IN_ORDER
SO_RCVBUFFORCE, SOL_PACKET, PACKET_IGNORE_OUTGOING = 33, 263, 23
FRAMES = 500


class Testpmd:
    """One testpmd on a node or socket, told what to do by its prompt."""

    def __init__(self, path, queues, options):
        vdev = (f"net_virtio_user0,path={path},queue_size=256,"
                f"queues={queues},mac={MAC.hex(':')}," +
                ",".join(f"{name}={val:d}" for name, val in options.items()))
        if path != SOCKET:
            vdev += f",iface={TAP}"
        argv = [*host.enter_root("dpdk"), "dpdk-testpmd",
                "-d", PMDS + "mempool_ring.so.23",
                "-d", PMDS + "net_virtio.so.23", "--no-pci", "--no-telemetry",
                "--in-memory", "--single-file-segments", "-m", "128",
                "--lcores", "0@0,1@1", "--log-level=pmd.net.virtio.*:debug",
                "--vdev", vdev, "--", "-i", "--no-lsc-interrupt",
                "--total-num-mbufs=2048", "--nb-cores=1",
                f"--rxq={queues}", f"--txq={queues}"]
        self.text = ""
        # a terminal, or its words stay in a buffer until it ends
        self.out, terminal = os.openpty()
        self.proc = subprocess.Popen(argv, stdin=subprocess.PIPE,
                                     stdout=terminal, stderr=terminal)
        os.close(terminal)

    def __enter__(self):
        self.prompt(60)
        return self

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        os.close(self.out)

    def prompt(self, secs=20):
        """What it says up to its last prompt: one may come before a line."""
        deadline, said = time.monotonic() + secs, ""
        while True:
            is_end = said.endswith("testpmd> ")
            left = 0.2 if is_end else deadline - time.monotonic()
            if not select.select([self.out], [], [], max(0, left))[0]:
                if is_end:
                    break
                raise host.HostError(f"testpmd is silent: {said[-300:]}")
            try:
                said += os.read(self.out, 65536).decode(errors="replace")
            except OSError as err:
                raise host.HostError(f"testpmd ended: {said[-600:]}") from err
        self.text += said
        return said

    def tell(self, command, answer=""):
        """What it says, up to a prompt behind an answer: the prompt of the command
        before may be late."""
        self.proc.stdin.write(command.encode() + b"\n")
        self.proc.stdin.flush()
        said = self.prompt()
        while answer not in said:
            said += self.prompt()
        return said

    def start(self, mode):
        """Frames that came before it began are thrown away."""
        self.tell(f"set fwd {mode}")
        self.tell("start", "packet forwarding - ports=")

    def stop(self):
        """Received and sent since the start, by queue where there are some."""
        said = self.tell("stop", "Done.")
        streams = re.findall(r"RX Port= ?0/Queue= ?(\d+) .*?RX-packets: (\d+)",
                             said, re.S)
        total = re.search(r"Forward statistics for port 0.*?RX-packets: (\d+)"
                          r".*?TX-packets: (\d+)", said, re.S)
        if not total:
            raise host.HostError(f"no statistics: {said}")
        return int(total[1]), int(total[2]), {q: int(n) for q, n in streams}

    def received(self):
        """Frames since testpmd began."""
        return int(re.search(r"RX-packets: (\d+)",
                             self.tell("show port stats 0", "RX-packets"))[1])

    def end(self):
        self.proc.stdin.write(b"quit\n")
        self.proc.stdin.flush()
        if self.proc.wait(30):
            raise host.HostError(f"testpmd returned {self.proc.returncode}")


def offered(node):
    fd = os.open(node, os.O_RDWR)
    try:
        return struct.unpack("Q", fcntl.ioctl(fd, GET_FEATURES, bytes(8)))[0]
    finally:
        os.close(fd)


class Switch:
    """vhx-switch between SOCKET and the tap."""

    def __init__(self, program, queues, is_client):
        spec = f"vhost-user,path={SOCKET},queues={queues}"
        self.argv = [program, "--ctl", SOCKET + ".ctl", "--verbose", "--port",
                     spec + (",client" if is_client else ""),
                     "--port", f"tap,ifname={TAP}"]
        self.proc = None

    def __enter__(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(SOCKET)
        self.proc = subprocess.Popen(self.argv)
        deadline = time.monotonic() + 20
        while not os.path.exists(SOCKET + ".ctl"):
            if self.proc.poll() is not None or time.monotonic() > deadline:
                raise host.HostError("vhx-switch did not start")
            time.sleep(0.1)

    def __exit__(self, *exc):
        self.proc.terminate()
        if self.proc.wait(20) and not any(exc):
            raise host.HostError(f"vhx-switch ended by {self.proc.returncode}")


def packet_socket():
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.bind((TAP, 3))
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.settimeout(10)
    return sock


def frame(number):
    """One of many flows, so that the tap uses all of its queues."""
    payload = number.to_bytes(4, "big") * (4 + number % 300)
    udp = struct.pack(">HHHH", 1024 + number % 64, 9, 8 + len(payload), 0)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0, 64, 17,
                     0, bytes([10, 77, 0, 1]), bytes([10, 77, 0, 2]))
    # the switch sends by sender: to all queues as well
    sender = bytes.fromhex("5254007700") + bytes([16 + number % 4])
    return MAC + sender + b"\x08\0" + ip + udp + payload


def swapped(data):
    return data[6:12] + data[:6] + data[12:]


def check_macswap(pmd, sock):
    """Each frame that the host sends comes back once, its addresses swapped.
    testpmd drops what a full ring does not take: few are on their way."""
    pmd.start("macswap")
    wanted = set()
    for number in range(FRAMES):
        sock.send(frame(number))
        wanted.add(swapped(frame(number)))
        if len(wanted) == 64:
            take_back(pmd, sock, wanted, 32)
    take_back(pmd, sock, wanted, 0)
    return pmd.stop()


def take_back(pmd, sock, wanted, left):
    """Until so many are left."""
    while len(wanted) > left:
        try:
            data = sock.recv(4096)
        except TimeoutError as err:
            raise host.HostError(f"{len(wanted)} of {FRAMES} frames did not "
                                 f"come back: {pmd.tell('stop')}") from err
        if data[6:12] == MAC:
            if data not in wanted:
                raise host.HostError(f"came back wrong or twice: {data.hex()}")
            wanted.remove(data)


def check_txonly(pmd, sock):
    """What testpmd makes up arrives on the tap: it writes the headers, what
    follows them is left from before."""
    pmd.start("txonly")
    seen, first = 0, None
    while seen < 20 * FRAMES:
        data = sock.recv(4096)
        if data[6:12] != MAC:
            continue
        first = first or data
        if data[:42] != first[:42] or len(data) != 64:
            raise host.HostError(f"not as the others: {data.hex()}")
        seen += 1
    _, sent, _ = pmd.stop()
    if sent < seen:
        raise host.HostError(f"{seen} of {sent} arrived")
    return seen, sent


def check_rxonly(pmd, sock):
    """What the host sends is counted. A switch keeps frames for 0.2 s, which a busy
    machine may leave testpmd without a processor for: few are on their way."""
    pmd.start("rxonly")
    before = pmd.received()
    for number in range(FRAMES):
        sock.send(frame(number))
        if number % 128 == 127:
            wait_received(pmd, before + number + 1)
    wait_received(pmd, before + FRAMES)
    return pmd.stop()


def wait_received(pmd, wanted):
    """Or what is missing is found at the end."""
    deadline = time.monotonic() + 5
    while pmd.received() < wanted and time.monotonic() < deadline:
        time.sleep(0.1)


def negotiated(pmd, features, options):
    found = re.findall(r"features after negotiate = ([0-9a-f]+)", pmd.text)
    if not found:
        raise host.HostError(f"no word of features: {pmd.text[-600:]}")
    bits = int(found[-1], 16)
    for name, bit in (("mrg_rxbuf", MRG_RXBUF), ("in_order", IN_ORDER),
                      ("packed_vq", PACKED)):
        want = options[name] and features >> bit & 1
        if bits >> bit & 1 != want:
            raise host.HostError(f"{name}={options[name]}, offered "
                                 f"{features:x}, negotiated {bits:x}")
    return bits


def run(bench, queues, options, is_switch=False):
    path = SOCKET if is_switch else bench.opts.node
    with contextlib.ExitStack() as stack:
        host.make_tap(TAP, 1 if is_switch else queues)
        stack.callback(host.drop_tap, TAP)
        if is_switch:
            stack.enter_context(Switch(bench.opts.switch, queues,
                                       options.get("server")))
        with packet_socket() as sock, Testpmd(path, queues, options) as pmd:
            features = ALL if is_switch else offered(path)
            bits = negotiated(pmd, features, options)
            if not is_switch and not host.workers(pmd.proc.pid):
                raise host.HostError("no worker thread")
            got, sent, by_queue = check_macswap(pmd, sock)
            # four senders, two by each pair; a tap chooses by flow
            least = FRAMES // 2 if is_switch and queues > 1 else 1
            if queues > 1 and min(by_queue.values(), default=0) < least:
                raise host.HostError(f"queues: {by_queue}")
            counted, _, _ = check_rxonly(pmd, sock)
            if min(got, sent, counted) < FRAMES:
                raise host.HostError(f"of {FRAMES}: {got} received, {sent} "
                                     f"returned, {counted} counted")
            seen, made = check_txonly(pmd, sock)
            pmd.end()
    return (f"features {bits:x}; {FRAMES} back, {counted} counted, "
            f"{seen} of {made} made up seen; queues {by_queue}")


def variants(rings):
    """Of virtio-user: (name, queue pairs, options)."""
    for packed, mrg, in_order, queues in itertools.product(
            rings, (True, False), (True, False), (1, 2)):
        yield ("_".join(("packed" if packed else "split",
                         "mrg" if mrg else "nomrg",
                         "inorder" if in_order else "anyorder", f"{queues}q")),
               queues,
               {"packed_vq": packed, "mrg_rxbuf": mrg, "in_order": in_order})


@contextlib.contextmanager
def hugepages():
    """On top of those that others have."""
    with open(HUGEPAGES) as file:
        before = int(file.read())
    try:
        with open(HUGEPAGES, "w") as file:
            file.write(str(before + 80))
        os.makedirs("/dev/hugepages", exist_ok=True)
        yield
    finally:
        with open(HUGEPAGES, "w") as file:
            file.write(str(before))


def group(bench, case):
    """The node."""
    rings = [False]
    if offered(bench.opts.node) >> PACKED & 1:
        rings.append(True)
    with hugepages(), host.no_bridge():
        for name, queues, options in variants(rings):
            case(f"testpmd_{name}_ok", run, bench, queues, options)


def group_switch(bench, case):
    """A socket of vhx-switch; the last time it is testpmd that listens."""
    with hugepages():
        for name, queues, options in variants((False, True)):
            case(f"dpdk_{name}_ok", run, bench, queues, options, True)
        options["server"] = True
        case("dpdk_listens_ok", run, bench, queues, options, True)
