#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Workers of a domain of libvirt: emulatorpin, and vhx-pin: KTAP on stdout.

usage: libvirt_test.py FOLDER      of vhx-pin

Runs in L1, as root: vm run -r libvirt. The domain has no system to boot: its worker
is there as soon as QEMU is. Names are pin.libvirt-<kind>.<behaviour>.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../vm"))
import guide_domain  # noqa: E402
import host  # noqa: E402
from libvirtd import CGROUPS, Libvirt, write  # noqa: E402
from pin_test import (NODE, Rig, cpus, expect, expect_in, group,  # noqa: E402
                      kinds, nice, run_case, until)

DOMAIN = """\
<domain type='{accel}'>
  <name>web1</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <cputune>
    <emulatorpin cpuset='0'/>
  </cputune>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <interface type='bridge'>
      <source bridge='vhxbr0'/>
      <target dev='web0'/>
      <model type='virtio'/>
      <driver name='vhost'/>
    </interface>
    <memballoon model='none'/>
  </devices>
</domain>
"""
CASES = []


def case(func):
    CASES.append(func)
    return func


def accel():
    return "kvm" if os.path.exists("/dev/kvm") else "qemu"


class Domain(Libvirt):
    """One domain of it."""

    def start(self):
        write(f"{self.root}/etc/web1.xml", DOMAIN.format(accel=accel()))
        self.virsh("create", "/etc/web1.xml")
        pid = int(host.sh("cat", "/run/libvirt/qemu/web1.pid"))
        found = list(host.workers(pid))
        expect(1, len(found), "workers")
        return pid, int(found[0])

    def stop(self):
        self.virsh("destroy", "web1")


@case
def emulatorpin_moves_the_worker_ok(_rig, libvirt, pid, tid):
    """A task is one of QEMU's threads; a kthread joined their group at the start."""
    expect("0", cpus(tid), "as the domain says")
    expect(group(pid), group(tid))
    libvirt.virsh("emulatorpin", "web1", "1")
    expect(("1", "1"), (cpus(pid), cpus(tid)))
    libvirt.virsh("emulatorpin", "web1", "0-1")


@case
def list_names_the_domain_ok(rig, _libvirt, pid, tid):
    found = rig.line(tid)
    expect(["web1", "web0", str(pid), rig.kind],
           [found[key] for key in ("VM", "TAP", "PID", "KIND")])
    expect_in("/emulator", found["CGROUP"])


@case
def within_the_emulators_cpus_ok(rig, libvirt, _pid, tid):
    rig.pin("--vm", "web1", "--cpus", "1", "--nice=-2")
    expect(("1", -2), (cpus(tid), nice(tid)))
    libvirt.virsh("emulatorpin", "web1", "0")
    expect("0", cpus(tid))
    expect_in("its control group leaves it 0",
              rig.pin("--vm", "web1", "--cpus", "1", status=1))


@case
def beside_the_emulator_ok(rig, libvirt, pid, tid):
    libvirt.virsh("emulatorpin", "web1", "0")
    rig.pin("--tap", "web*", "--cgroup", "../vhx", "--cpus", "1")
    expect(("0", "1"), (cpus(pid), cpus(tid)))
    expect(group(pid).replace("/emulator", "/vhx"), group(tid))
    libvirt.virsh("emulatorpin", "web1", "0-1")
    libvirt.virsh("emulatorpin", "web1", "0")
    expect(("0", "1"), (cpus(pid), cpus(tid)))


def rule_at_start_of_a_domain_ok(rig, libvirt):
    """A rule is applied to a domain that starts; nothing of it is left at its end."""
    with rig.watch("vm=web1 cgroup=../vhx cpus=1\n") as (_, log):
        pid, tid = libvirt.start()
        until(lambda: cpus(tid) == "1", f"not placed: {log()}")
        expect("0", cpus(pid))
        where = group(tid)
        libvirt.stop()
        until(lambda: not os.path.exists(CGROUPS + where), f"{where} stays")
        expect("", log())


def cases(libvirt, rig, number):
    failed = 0
    pid, tid = libvirt.start()
    for func in CASES:
        number += 1
        failed += not run_case(func, rig, number, libvirt, pid, tid)
    libvirt.stop()
    number += 1
    failed += not run_case(rule_at_start_of_a_domain_ok, rig, number, libvirt)
    for func in guide_domain.CASES:
        number += 1
        failed += not run_case(func, rig, number, libvirt, accel())
    return number, failed


def main(folder):
    host.modprobe_kvm()
    host.make_bridge()
    print("KTAP version 1")
    number = failed = 0
    libvirt = Domain()
    try:
        for kind in kinds():
            host.load("vhx_net", NODE, "fork_from_owner_default=" +
                      ("Y" if kind == "task" else "N"))
            rig = Rig(folder, "vhx_net", kind, "libvirt")
            number, more = cases(libvirt, rig, number)
            failed += more
            host.unload("vhx_net")
    finally:
        libvirt.end()
        if failed or not number:
            print(libvirt.tail())
    print(f"1..{number}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
