# SPDX-License-Identifier: GPL-2.0-only
"""Which stages there are in which check, and what each needs."""
import os
import sys

import stages
from jobs import Job

KERNELS = ("6.1", "6.12", "7.3")

EMULATOR = "vm root qemu-11.1"      # boots all machines: vm/boot.py

FAST = ["style", "engine fast", "models", "build 6.1", "smoke"]

# Each feature on one kernel at least (but guests on CUSE nodes of vhx-switch), the
# selftests on all three, a group of guests on each.
CHECK = [
    "style", "engine", "lib", "models", "top", "top 6.12",
    "build 6.1", "build 6.12", "build 7.3",
    *(f"selftests {kernel}" for kernel in KERNELS),
    "trace 6.12", "rights",
    "guests 6.12 kvm migrate,viommu,migrate-packed,viommu-packed - 2",
    "guests 6.1 kvm ovs,testpmd", "guests 6.1 kvm pair,mq,nomrg,legacy",
    "guests 7.3 kvm packed",
    "cuse 6.1", "switch 6.12 short", "pin 6.12", "install",
    "features check",
]

# Programs of the selftests in parts that take alike under a debug kernel: all
# under KASAN; under KCSAN those where threads meet.
SHARDS = {
    "debug": (
        "load_test,rx_test,iotlb_test,backend_test,race_test,"
        "live_test,mend_test,offer_test,ioctl_test,memtab_test,"
        "retry_test,hold_test,klog_test,iotlb_miss_test",
        "tx_test,burst_test,burst_tx_test,packed_test,worker_test,"
        "worker_cgroup_test,busypoll_test,autopoll_test,worker_life_test,"
        "packet_test,endian_test,backpressure_test",
        "log_diff_test,iotlb_data_test,rings_test,log_test,log_shared_test,"
        "hostile_test,leak_test,features_test,trace_test,stats_test,drops_test,"
        "fdinfo_test",
        "fault_test",
    ),
    "kcsan": (
        "load_test,race_test,live_test,mend_test,worker_test,busypoll_test,"
        "autopoll_test,log_shared_test,worker_life_test,retry_test,fdinfo_test",
        "rx_test,tx_test,packed_test,rings_test,hostile_test,iotlb_test",
    ),
}
FLAVOURS = ("6.1-rt", "6.1-cloud", "6.12-rt", "6.12-cloud")


def headers(series):
    """A stage that builds for all kernels of a series that dkms.conf accepts."""
    return " ".join(["build", *(
        "-".join(filter(None, (series, flavour, arch)))
        for arch in ("", "arm64") for flavour in ("", "rt", "cloud"))])


ALL = [
    "style", "coverage", "engine full", "engine32 6.12", "lib full", "models", "top",
    *(f"top {kernel}" for kernel in KERNELS),
    *(headers(series) for series in (*KERNELS, "6.12-trixie", "7.2")),
    "build 6.1-s390x",
    *(f"selftests {kernel}" for kernel in KERNELS),
    *(f"trace {kernel}" for kernel in KERNELS),
    "guests 6.12 kvm migrate,viommu,migrate-packed,viommu-packed",
    "guests 6.1 kvm pair,mq,migrate,viommu,migrate-packed 11.1",
    "guests 6.12 kvm pair,mq,packed,migrate,viommu-lazy 10.0",
    "guests 6.1 tcg one,one-packed", "guests 7.3 kvm pair,mq,packed",
    "guests 6.1 kvm ovs,testpmd,packed", "guests 6.12 tcg one-packed",
    "guests 7.3 tcg one-packed", "guests 6.12 kvm pair,mq,packed",
    "guests 6.1 kvm", "guests 6.1 kvm top", "cuse 6.1", "cuse 6.1 switch",
    "switch 6.12", "rust", "install", "deb", "rpm", "ansible",
    *(f"pin {kernel}" for kernel in KERNELS),
    "rights", "rights 6.12",
    "libvirt 6.1", "libvirt 6.12", "netboot 6.12",
    *(f"vhost_net_test {kernel}" for kernel in KERNELS),
    *(f"selftests {kernel}" for kernel in FLAVOURS),
    "selftests 6.1-arm64", "selftests 6.12-arm64", "selftests 6.1-s390x",
    "guests 6.1-arm64 tcg one,one-packed",
    *(f"debug {kernel} {what}" for kernel, shards in SHARDS.items()
      for what in ("boom", *shards)),
    "fuzz debug 120", "fuzz 6.1 60",
    "features all",
]

PLANS = {"check": CHECK, "fast": FAST, "all": ALL}


def machine(kernel, *needs, gib=4.2, **options):
    """What a stage that boots a kernel has to have."""
    return {"needs": [f"vm fetch {kernel}", f"vm build {kernel}", EMULATOR, *needs],
            "gib": gib, **options}


def selftests(kernel):
    arch = stages.arch_of(kernel)
    if not arch:
        return machine(kernel, "programs selftests", limit=2400, guess=400)
    return machine(kernel, f"programs selftests {arch}", f"vm root {arch}",
                   limit=5400, guess=900)


def guests(kernel, accel, groups="", qemu="", _migrations=""):
    guest, arch = stages.guest_of(kernel), stages.arch_of(kernel)
    needs = [f"vm fetch {guest}", f"vm initramfs {guest}"]
    if accel == "tcg":
        needs.append(f"vm snapshot {guest}")
    if "top" in groups.split(","):
        needs.append("programs top")
    needs += [f"vm root {root}" for root in stages.roots(groups, qemu)]
    if arch:
        return machine(kernel, *needs, f"vm root {arch}", limit=7200, guess=900)
    return machine(kernel, *needs, limit=2400, guess=400)


def prepared(*args):
    """What `vm` makes: a module needs its kernel, and so on."""
    after = {"build": "fetch", "initramfs": "fetch", "snapshot": "initramfs"}
    needs = [f"vm {after[args[0]]} {args[1]}"] if args[0] in after else []
    return {"needs": needs, "limit": 5400, "is_stage": False, "guess": 40,
            "cores": 0.8}


def debug(kernel, what, _module="vhx_net"):
    build = [] if what == "boom" else [f"vm build {kernel}",
                                       "programs selftests"]
    return {"needs": [f"vm fetch {kernel}", EMULATOR, *build], "gib": 6.2,
            "limit": 4200, "guess": 300 if what == "boom" else 1000}


def fuzz(kernel, secs="120"):
    return machine(kernel, "programs fuzz", gib=6.2, limit=4 * int(secs) + 1500,
                   guess=int(secs) + 100)


def top(kernel=""):
    if kernel:
        return machine(kernel, "programs top", guess=200)
    return {"needs": ["vm root prometheus", "programs top"], "guess": 40,
            "cores": 0.5}


def rights(kernel=""):
    if kernel:
        return machine(kernel, f"vm fetch {stages.GUEST}",
                       f"vm initramfs {stages.GUEST}", "vm root system",
                       "programs pin", guess=250)
    return {"guess": 60, "cores": 0.5}


GUESTS = (f"vm initramfs {stages.GUEST}",)

# kind of stage: what it has to have, by its arguments. A machine waits now and
# then: what has none fits beside two of them.
KINDS = {
    "style": lambda: {"guess": 20, "needs": ["vm fetch 6.12"], "cores": 0.5},
    "engine": lambda laps="": {"guess": 60, "cores": 0.5},
    "coverage": lambda: {"guess": 120, "cores": 0.8},
    "engine32": lambda kernel: {"needs": [f"vm fetch {kernel}", EMULATOR], "gib": 4.2,
                                "guess": 150},
    "lib": lambda laps="": {"guess": 50, "cores": 0.5},
    "models": lambda: {"guess": 10, "cores": 0.5},
    "build": lambda *kernels: {"needs": [f"vm build {k}" for k in kernels],
                               "cores": 0.5},
    "smoke": lambda kernel="6.1": machine(kernel, "programs selftests"),
    "selftests": selftests,
    "trace": lambda kernel: machine(
        kernel, "programs selftests", f"vm root {stages.trace_root(kernel)}",
        guess=150),
    "guests": guests,
    "debug": debug,
    "fuzz": fuzz,
    "cuse": lambda kernel, switch="": machine(
        kernel, *GUESTS, "programs switch" if switch else "programs cuse",
        guess=250),
    "switch": lambda kernel, part="all": {
        "needs": [f"vm initramfs {kernel}", "programs switch",
                  *(f"vm root {r}" for r in ("qemu-10.0", "qemu-11.1", "dpdk"))],
        "limit": 3600, "guess": 450, "gib": 2},
    "pin": lambda kernel: machine(kernel, "programs pin", "vm root libvirt",
                                  guess=250, limit=3000),
    "libvirt": lambda kernel: machine(kernel, *GUESTS, "vm root libvirt",
                                      guess=400, limit=3000),
    "netboot": lambda kernel: machine(kernel, "vm root netboot",
                                      "programs switch", guess=300,
                                      limit=3600),
    "vhost_net_test": lambda kernel: machine(
        kernel, "vm vhost_net_test", "vm root rust-trixie", guess=150),
    "rust": lambda root="rust-trixie": {
        "needs": [f"vm root {root}", "programs switch"], "guess": 100,
        "cores": 0.8},
    "top": top,
    "rights": rights,
    "install": lambda kernel="6.1": machine(kernel, *GUESTS, "programs top",
                                            guess=300),
    "deb": lambda kernel="6.1", *_steps: {
        "needs": [f"vm fetch {kernel}", EMULATOR, *GUESTS, "vm root build-deb",
                  "vm root debian-12"], "gib": 4.2, "limit": 3600, "guess": 900},
    "rpm": lambda kernel="6.12": {
        "needs": [f"vm fetch {kernel}", "vm root build-rpm"], "guess": 120,
        "cores": 0.8},
    "ansible": lambda kernel="6.1": machine(kernel, guess=500, limit=3000),
    "features": lambda scope="check": {"guess": 1},
    "vm": prepared,
    "programs": lambda name, *arch: {"is_stage": False, "cores": 0.8},
}


def job(text):
    """The job of a line of a plan."""
    kind, *args = text.split()
    try:
        options = KINDS[kind](*args)
    except (KeyError, TypeError):
        sys.exit(f"check: no stage '{text}': a kind of {', '.join(KINDS)} and "
                 "its arguments, as Documentation/testing.rst has them")
    return Job(text, [os.path.join(stages.HERE, "check"), "--stage",
                      *text.split()], **options)


def jobs(texts):
    """The jobs of a plan, with what prepares them in front."""
    found = {}

    def add(text):
        if text not in found:
            one = job(text)
            for need in one.needs:
                add(need)
            found[text] = one

    for text in texts:
        add(text)
    for one in found.values():
        kind, *args = one.name.split()
        if kind == "features":
            one.needs += [other.name for other in found.values()
                          if other.name.split()[0] in ("selftests", "guests")]
        # a flavour is compared with in-tree as its kernel's stage left it
        if kind == "selftests" and args[0] in FLAVOURS:
            one.needs += {f"selftests {stages.base(args[0])}"} & found.keys()
    return list(found.values())
