# SPDX-License-Identifier: GPL-2.0-only
"""A domain of libvirt: its XML, and the guest in it."""
import os
import re
import select
import socket
import time

import host
from guest import Channel, Guest, GuestError, GuestTimeout
from libvirtd import read, write

NAME = "web1"
APPEND = ("console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable "
          "no_timer_check random.trust_cpu=on audit=0 nowatchdog "
          "ipv6.disable=1 reboot=a")
DOMAIN = """\
<domain type='kvm'>
  <name>{name}</name>
  <memory unit='MiB'>256</memory>
  <vcpu>1</vcpu>
  <cputune>
    <emulatorpin cpuset='0-1'/>
  </cputune>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{append}</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <cpu mode='custom' match='exact' check='none'><model>EPYC</model></cpu>
  <clock offset='utc'><timer name='hpet' present='no'/></clock>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <serial type='file'><source path='{console}'/></serial>
    <channel type='unix'>
      <source mode='connect' path='{ctl}'/>
      <target type='virtio' name='vhx.ctl'/>
    </channel>
    <memballoon model='none'/>
{interfaces}
  </devices>
</domain>
"""
INTERFACE = """\
    <interface type='{link.kind}'>
      {link.source}
      <mac address='{link.mac}'/>
      <target dev='{link.tap}'/>
      <model type='virtio'/>
      <driver name='vhost' queues='{link.queues}'/>
      {backend}
      <rom enabled='no'/>
    </interface>
"""


class Link:
    """An interface of a domain, each in a network 10.77.N.0/24 of its own."""

    def __init__(self, number, kind, source, queues):
        self.kind, self.source, self.queues = kind, source, queues
        self.tap = f"web{number}"
        self.mac = f"52:54:00:77:01:{number:02x}"
        self.host_addr, self.addr = f"10.77.{number}.1", f"10.77.{number}.2"

    def xml(self, node):
        backend = "" if node == "/dev/vhost-net" else \
            f"<backend vhost='{node}'/>"
        return INTERFACE.format(link=self, backend=backend)


class Accepted(Channel):
    """One that QEMU opened: the guest sees no end of it at a restore."""

    def __init__(self, listener, deadline):
        self.buf = b""
        listener.settimeout(max(1, deadline - time.monotonic()))
        try:
            self.sock, _ = listener.accept()
        except TimeoutError as err:
            raise GuestTimeout("QEMU did not connect") from err


class Domain(Guest):
    """The guest of a domain, by the agent of guest.py, without a QMP of ours."""

    def __init__(self, libvirt, links, node, log):
        super().__init__([], name=NAME, log=log)
        self.libvirt, self.links, self.node = libvirt, links, node
        self.listener = socket.create_server(f"{self.dir}/ctl",
                                             family=socket.AF_UNIX)
        write(f"{libvirt.root}/etc/{NAME}.xml", DOMAIN.format(
            name=NAME, kernel=os.environ["VHX_GUEST_VMLINUX"],
            initrd=os.environ["VHX_GUEST_INITRD"], append=APPEND,
            console=self.console, ctl=f"{self.dir}/ctl",
            interfaces="".join(link.xml(node) for link in links)))
        self.virsh("define", f"/etc/{NAME}.xml")

    def virsh(self, *argv):
        return self.libvirt.virsh(*argv)

    @property
    def pid(self):
        return int(read(f"/run/libvirt/qemu/{NAME}.pid"))

    def connect(self, deadline):
        self.ctl = Accepted(self.listener, deadline)

    def start_once(self):
        deadline = time.monotonic() + 2 * self.patience
        # one of a QEMU that did not come up may wait
        while select.select([self.listener], [], [], 0)[0]:
            self.listener.accept()[0].close()
        # not from a state that managedsave left
        self.virsh("start", NAME, "--force-boot")
        self.connect(deadline)
        self.wait_up(deadline)

    def word(self, deadline):
        try:
            return self.ctl.line(deadline)
        except GuestTimeout as err:
            raise GuestTimeout(f"{err}: {self.state()}; {self.tail()[-3:]}") \
                from err

    def state(self):
        return self.virsh("domstate", NAME).strip()

    def reset(self):
        def step():
            self.virsh("reset", NAME)
            self.wait_up(time.monotonic() + 2 * self.patience)
        self.once_more(step, self.start_once)

    def close(self):
        if self.ctl:
            self.ctl.sock.close()
            self.ctl = None

    def kill(self):
        try:
            self.virsh("destroy", NAME)
        except host.HostError as err:
            self.say(str(err))
        self.close()

    def stop(self):
        if self.state() != "shut off":
            self.kill()
        self.virsh("undefine", NAME)
        self.listener.close()

    # -- what it is asked ---------------------------------------------------

    def dev(self, link):
        """The guest's name of an interface, once it is there."""
        return self.check(
            f"until d=$(grep -l {link.mac} /sys/class/net/*/address); do "
            "sleep 0.2; done; basename $(dirname $d)", 60).strip()

    def set_up(self, link):
        """Its address, and no answer for that of another interface."""
        self.check("for f in /proc/sys/net/ipv4/conf/*/arp_ignore; do "
                   f"echo 1 >$f; done; ip addr flush dev {self.dev(link)}; "
                   f"ip addr add {link.addr}/24 dev {self.dev(link)} && "
                   f"ip link set {self.dev(link)} up")

    def counts(self, link):
        """Frames to and from the guest by each descriptor of an interface. In-tree
        tells the time of its workers, of all interfaces, only."""
        found = {}
        for path in host.node_paths(self.pid, self.node):
            text = read(path.replace("/fd/", "/fdinfo/"))
            if re.search(rf"^vhx-rx-ifname:\t{link.tap}$", text, re.M):
                found[path] = [int(re.search(rf"^vhx-{way}-frames:\t(\d+)", text,
                                             re.M)[1]) for way in ("rx", "tx")]
        if not os.path.isdir("/sys/module/vhx_net"):
            found = {tid: (secs, secs)
                     for tid, secs in host.workers(self.pid).items()}
        return found

    def moved(self, link, func):
        """Of each queue pair, what passed meanwhile to and from the guest."""
        before = self.counts(link)
        func()
        after = self.counts(link)
        return [[new - old for new, old in zip(after[key], before[key])]
                for key in after.keys() & before.keys()]

    def passes(self, link, count=3):
        """Frames pass, by a worker of the node."""
        host.wait_ping(link.addr)
        if not host.workers(self.pid):
            raise GuestError(f"no thread vhost-{self.pid}")
        moved = self.moved(link, lambda: host.ping(link.addr, count))
        if min(map(sum, zip(*moved)), default=0) < count:
            raise GuestError(f"{link.tap}: {count} pings, but by the node {moved}")
