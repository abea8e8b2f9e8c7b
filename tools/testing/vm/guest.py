# SPDX-License-Identifier: GPL-2.0-only
"""Guests for the rig: a Debian kernel in QEMU on taps served by a vhost node.

Runs inside L1 (vm run -g K), where VHX_GUEST_VMLINUX and VHX_GUEST_INITRD name
kernel and initramfs, and VHX_GUEST_ARCH their architecture.  Commands and their
status travel over a virtio-serial port (see l2-initramfs), never over a console.
"""
import base64
import dataclasses
import fcntl
import json
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import arch

TUNSETIFF = 0x400454ca
IFF_TAP, IFF_NO_PI, IFF_MULTI_QUEUE, IFF_VNET_HDR = 0x2, 0x1000, 0x100, 0x4000
# Deadlines are that many times as long
PATIENCE = float(os.environ.get("VHX_SLOW", 1))


class GuestError(Exception):
    """The guest, or QEMU, did not do what it was told."""


class GuestTimeout(GuestError):
    """A deadline passed."""


class GuestGone(GuestError):
    """QEMU closed its channel, as one that ends."""


@dataclasses.dataclass
class Net:
    """One virtio-net device on a tap (which exists, with IFF_MULTI_QUEUE if
    queues > 1); vhostfd: the node is opened here and passed to QEMU."""
    tap: str                        # none: no backend, for a snapshot
    mac: str
    addr: str = ""                  # "10.0.0.2/24", set by the guest at boot
    queues: int = 1
    vhost: bool = True
    node: str = "/dev/vhost-net"
    vhostfd: bool = False
    user: str = ""                  # vhost-user socket in place of a tap
    is_server: bool = False         # QEMU listens on it
    device: str = ""                # options of -device, e.g. "mrg_rxbuf=off"


class Channel:
    """Lines and counted bytes over a socket, with deadlines."""

    def __init__(self, path, deadline):
        self.buf = b""
        self.sock = connect(path, deadline)

    def fill(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.sock], [], [], left)[0]:
            raise GuestTimeout("no answer from the guest")
        data = self.sock.recv(65536)
        if not data:
            raise GuestGone("QEMU closed the channel")
        self.buf += data

    def line(self, deadline):
        while b"\n" not in self.buf:
            self.fill(deadline)
        line, self.buf = self.buf.split(b"\n", 1)
        return line.decode(errors="replace")

    def take(self, count, deadline):
        while len(self.buf) < count:
            self.fill(deadline)
        data, self.buf = self.buf[:count], self.buf[count:]
        return data

    def send(self, data):
        self.sock.sendall(data)


def connect(path, deadline):
    """Connect to a unix socket that QEMU is about to make."""
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(path)
            return sock
        except OSError as err:
            sock.close()
            if time.monotonic() > deadline:
                raise GuestTimeout(f"{path}: {err}") from err
            time.sleep(0.05)


def open_tap(net):
    """One more queue of the tap, as a descriptor."""
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
    if net.queues > 1:
        flags |= IFF_MULTI_QUEUE
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", net.tap.encode(), flags))
    return fd


# -M, further options, further words of the kernel's command line
VIOMMU = ["-device", "intel-iommu,intremap=on,device-iotlb=on"]
# More memory slots than QEMU allows without vhost's parameter, and too small for the
# kernel, which would try each of them
SLOTS = [word for i in range(100) for word in (
    "-object", f"memory-backend-ram,id=m{i},size=2M",
    "-device", f"pc-dimm,memdev=m{i},id=d{i}")]
MACHINES = {
    "microvm": ("microvm,pcie=on,rtc=on", [], "reboot=t"),
    "q35": ("q35,hpet=off", [], "reboot=a"),
    "virt": (arch.ARM64.machine, [], ""),
    "slots": ("q35,hpet=off", [], "reboot=a acpi_no_memhotplug"),
    "viommu": ("q35,hpet=off,kernel-irqchip=split", VIOMMU,
               "reboot=a intel_iommu=on iommu.strict=1"),
    "viommu-lazy": ("q35,hpet=off,kernel-irqchip=split", VIOMMU,
                    "reboot=a intel_iommu=on iommu.strict=0"),
}


class Guest:
    """One guest.  accel: kvm or tcg; machine: a name in MACHINES; incoming: an
    address to migrate from; is_shared: a device in user space has its memory;
    is_held: it does not run before qmp("cont").

    microvm boots quicker, but without KVM's clock it has nothing to calibrate
    the TSC by, and it has no I/O space for legacy devices: q35 for both, and
    for a newer QEMU, whose microvm does not come up under KVM on emulated SVM.
    """
    retries = 0                     # of all guests: reported at the end
    qemu = []                       # words; none: of its architecture

    def __init__(self, nets, accel="kvm", machine=None, name="guest", cpus=1,
                 mem="256M", log=None, snapshot=None, incoming=None,
                 is_shared=False, is_held=False):
        self.arch = arch.of_guests()
        self.qemu = self.qemu or [self.arch.qemu]
        self.is_held = is_held
        self.is_shared = is_shared or any(net.user for net in nets)
        self.nets, self.accel, self.snapshot = nets, accel, snapshot
        self.incoming = incoming
        # KVM of 7.x gives a machine up ("KVM internal error. Suberror: 3") that
        # stores to a device while an event is delivered, and emulated SVM says
        # that of many kicks: there the devices are kicked by port, and a
        # machine has few others to store to
        is_old_kvm = accel == "kvm" and os.uname().release.startswith("6.")
        self.kick = ",modern-pio-notify=on" if accel == "kvm" and \
            not is_old_kvm else ""
        is_quick = is_old_kvm and len(self.qemu) == 1
        self.machine = machine or ("microvm" if is_quick else self.arch.guest_machine)
        self.name, self.cpus, self.mem, self.log = name, cpus, mem, log
        self.proc = self.ctl = self.mon = None
        self.boot_id = self.release = ""
        self.count = 0
        self.dir = tempfile.mkdtemp(prefix=f"vhx-{name}-")
        self.console = os.path.join(self.dir, "console.txt")
        # both under two levels of emulation; a TCG guest has no help at all
        self.patience = PATIENCE * (60 if accel == "kvm" else 300)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stop()

    @property
    def pid(self):
        return self.proc.pid

    def say(self, text):
        if self.log:
            self.log(f"{self.name}: {text}")

    # -- the command line --------------------------------------------------

    def net_args(self, index, net, fds):
        args = f"tap,id=n{index}"
        more = []
        if net.user:
            args = f"vhost-user,id=n{index},chardev=u{index}"
            if net.queues > 1:
                args += f",queues={net.queues}"
            # of a root: 10.0 and newer
            again = "reconnect=1" if len(self.qemu) == 1 else \
                "reconnect-ms=1000"
            more = ["-chardev", f"socket,id=u{index},path={net.user}," +
                    ("server=on,wait=off" if net.is_server else again)]
        elif not net.tap:
            args = f"hubport,id=n{index},hubid={index}"
        elif net.vhostfd:
            taps = [open_tap(net) for _ in range(net.queues)]
            nodes = [os.open(net.node, os.O_RDWR) for _ in range(net.queues)]
            fds += taps + nodes
            many = "s" if net.queues > 1 else ""
            args += (f",fd{many}=" + ":".join(map(str, taps)) +
                     f",vhost=on,vhostfd{many}=" + ":".join(map(str, nodes)))
        else:
            args += f",ifname={net.tap},script=no,downscript=no"
            args += f",vhost={'on' if net.vhost else 'off'}"
            if net.queues > 1:
                args += f",queues={net.queues}"
        device = f"virtio-net-pci,netdev=n{index},mac={net.mac},romfile="
        device += self.kick
        if net.queues > 1:
            device += f",mq=on,vectors={2 * net.queues + 2}"
        if net.user and self.accel == "tcg" and len(self.qemu) == 1:
            # with MSI-X QEMU 7.2 goes where KVM's irqfd would be, and dies
            device += ",vectors=0"
        if net.device:
            device += "," + net.device
        return [*more, "-netdev", args, "-device", device]

    def args(self, fds):
        machine, options, append = MACHINES[self.machine]
        append = (f"console={self.arch.console} quiet panic=-1 mitigations=off "
                  f"nokaslr {self.arch.words} random.trust_cpu=on audit=0 "
                  "nowatchdog ipv6.disable=1 " + append)
        if self.is_shared:
            options = [*options, "-object", "memory-backend-memfd,id=m,"
                       f"size={self.mem},share=on"]
            machine += ",memory-backend=m"
        args = [*self.qemu, "-name", self.name,
                "-M", machine, "-accel", self.accel, *options,
                "-cpu", "EPYC,check=off" if self.accel == "kvm" else self.arch.cpu,
                "-smp", str(self.cpus), "-m", self.mem, "-nodefaults",
                "-no-user-config", "-display", "none",
                "-kernel", os.environ["VHX_GUEST_VMLINUX"],
                "-initrd", os.environ["VHX_GUEST_INITRD"],
                "-append", append, "-serial", f"file:{self.console}",
                "-qmp", f"unix:{self.dir}/qmp,server=on,wait=off",
                "-chardev", f"socket,id=ctl,path={self.dir}/ctl,"
                            "server=on,wait=off",
                "-device", "virtio-serial-pci" + self.kick,
                "-device", "virtserialport,chardev=ctl,name=vhx.ctl"]
        for index, net in enumerate(self.nets):
            args += self.net_args(index, net, fds)
        if self.machine == "slots":
            # behind the devices: a DIMM is refused, not the network
            args += SLOTS
        if self.snapshot:
            args += ["-incoming", f"exec:cat {self.snapshot}"]
        if self.incoming:
            args += ["-incoming", self.incoming]
        if self.is_held:
            args.append("-S")
        return args

    # -- start, reset, stop ------------------------------------------------

    def start(self):
        """Start QEMU and wait for the guest's agent."""
        began = time.monotonic()
        self.once_more(self.start_once)
        self.say(f"up after {time.monotonic() - began:.0f} s: {self.release}")
        return self

    def once_more(self, step, prepare=lambda: None):
        """A step, and once more by a fresh QEMU where the guest fell silent.

        Under two levels of emulation it does now and then, with any vhost, and
        mostly without a word on its console.  Retries are counted and
        reported; a guest that is silent again has failed."""
        try:
            step()
        except GuestTimeout as err:
            Guest.retries += 1
            self.say(f"one retry by a fresh QEMU: {err}")
            self.kill()
            self.boot_id = ""
            prepare()
            step()

    def start_once(self):
        """QEMU, then the guest up to its first word and to its last."""
        patience = PATIENCE * 120 if self.snapshot else self.patience
        deadline = time.monotonic() + patience
        self.launch(deadline)
        if self.snapshot:
            # its "ready" was said before the snapshot
            while self.qmp("query-status")["status"] != "running":
                if time.monotonic() > deadline:
                    raise GuestTimeout("the snapshot does not run")
                time.sleep(0.2)
            self.go()
        self.wait_up(deadline)

    def launch(self, deadline):
        fds = []
        for name in ("qmp", "ctl", "console.txt"):
            if os.path.exists(os.path.join(self.dir, name)):
                os.unlink(os.path.join(self.dir, name))
        with open(os.path.join(self.dir, "qemu.txt"), "wb") as log:
            self.proc = subprocess.Popen(self.args(fds), pass_fds=fds,
                                         stdin=subprocess.DEVNULL,
                                         stdout=log, stderr=log)
        for fd in fds:
            os.close(fd)
        try:
            self.mon = Channel(os.path.join(self.dir, "qmp"),
                               self.alive(deadline))
            self.mon.line(deadline)
            self.qmp("qmp_capabilities")
            # answered when all is set up: who comes before is sent away
            self.qmp("query-status")
        except (OSError, GuestGone) as err:
            # one that refuses a device has opened the channel before
            raise GuestError("QEMU ended: " + self.read("qemu.txt")) from err
        self.ctl = Channel(os.path.join(self.dir, "ctl"), deadline)

    def save(self, path):
        """Boot to "ready" and write the machine's state, for snapshot=."""
        deadline = time.monotonic() + self.patience
        self.launch(deadline)
        while not self.ctl.line(deadline).endswith("ready"):
            pass
        # not stopped before: a stopped machine would wake up stopped
        self.qmp("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self.qmp("migrate", uri=f"exec:cat >{path}")
        while (status := self.qmp("query-migrate")["status"]) != "completed":
            if status == "failed" or time.monotonic() > deadline:
                raise GuestError(f"snapshot: {status}")
            time.sleep(0.1)
        self.stop()

    def go(self):
        addrs = ",".join(net.addr for net in self.nets)
        self.ctl.send(f"go {addrs}\n".encode())

    def alive(self, deadline):
        """The deadline, unless QEMU has refused its command line."""
        for _ in range(100):
            if os.path.exists(os.path.join(self.dir, "qmp")):
                break
            if self.proc.poll() is not None:
                raise GuestError("QEMU ended: " + self.read("qemu.txt"))
            time.sleep(0.05)
        return deadline

    def word(self, deadline):
        """A line of the agent.  A machine that KVM gave up sends none."""
        while True:
            try:
                return self.ctl.line(min(deadline, time.monotonic() + 3))
            except GuestTimeout as err:
                status = self.qmp("query-status")["status"]
                if status == "internal-error" or time.monotonic() > deadline:
                    raise GuestTimeout(f"{err}: {status}, {self.registers()}; "
                                       f"{self.tail()[-3:]}") from err

    def wait_up(self, deadline):
        """Until the agent of a boot that was not seen before says so."""
        while True:
            words = self.word(deadline).split()
            # bytes of an answer that a reset cut may stand before them
            if words and words[-1].endswith("ready"):
                self.go()
            if "up" in words and len(words) >= words.index("up") + 3:
                boot_id, release = words[words.index("up") + 1:][:2]
                if boot_id != self.boot_id:
                    self.boot_id, self.release = boot_id, release
                    return

    def reset(self):
        """Reset the machine as its button does; returns when it is up."""
        def step():
            self.qmp("system_reset")
            self.wait_up(time.monotonic() + self.patience)
        self.once_more(step, self.start_once)

    def stop(self):
        """End QEMU in order, so that it takes its backends down."""
        if self.proc is None:
            return
        try:
            if self.mon:
                self.qmp("quit")
                self.proc.wait(30)
        except (OSError, GuestError, subprocess.TimeoutExpired):
            pass
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir, exist_ok=True)

    def kill(self):
        """SIGKILL, as a host does to an owner under memory pressure."""
        if self.proc is None:
            return
        self.proc.kill()
        self.proc.wait()
        for chan in (self.ctl, self.mon):
            if chan:
                chan.sock.close()
        self.proc = self.ctl = self.mon = None

    # -- commands ----------------------------------------------------------

    def run(self, cmd, timeout=30):
        """Run a shell command in the guest: (status, output)."""
        self.count += 1
        ident = f"{self.count}"
        deadline = time.monotonic() + timeout
        blob = base64.b64encode(cmd.encode()).decode()
        self.ctl.send(f"{ident} {max(1, int(timeout))} {blob}\n".encode())
        # the guest's own limit strikes first where it still runs
        deadline += 10
        while True:
            try:
                words = self.word(deadline).split()
            except GuestTimeout as err:
                raise GuestTimeout(f"in '{cmd.strip()[:60]}': {err}") from err
            if words[:1] == ["up"]:
                raise GuestError(f"the guest rebooted in: {cmd}")
            if len(words) == 4 and words[:2] == ["done", ident]:
                out = self.ctl.take(int(words[3]), deadline)
                return int(words[2]), out.decode(errors="replace")

    def check(self, cmd, timeout=30):
        """Run a command that must succeed: its output."""
        status, out = self.run(cmd, timeout)
        if status != 0:
            raise GuestError(f"{self.name}: '{cmd}' gave {status}: {out.strip()}")
        return out

    def qmp(self, command, **arguments):
        """One QMP command: what it returns."""
        deadline = time.monotonic() + 60
        request = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        self.mon.send(json.dumps(request).encode() + b"\n")
        while True:
            answer = json.loads(self.mon.line(deadline))
            if "error" in answer:
                raise GuestError(f"{command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def device_status(self, path):
        """What QEMU says of a virtio device; None where it ends for being
        asked, as 11.1 does of a vhost device."""
        if self.qmp("query-version")["qemu"]["major"] >= 11:
            return None
        return self.qmp("x-query-virtio-status", path=path)

    # -- what went wrong ---------------------------------------------------

    def read(self, name):
        with open(os.path.join(self.dir, name), errors="replace") as file:
            return file.read()

    def registers(self):
        """Where the first CPU is: a silent guest leaves no other trace."""
        text = self.qmp("human-monitor-command",
                        **{"command-line": "info registers"})
        return " ".join(re.findall(r"\b(?:RIP|RFL|PC|PSTATE|HLT)=\S+", text))

    def tail(self):
        """The end of the console, for a report."""
        return self.read("console.txt").strip().splitlines()[-15:]
