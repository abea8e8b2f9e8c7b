# SPDX-License-Identifier: GPL-2.0-only
"""A virtual IOMMU before the device: vhost translates by its device IOTLB."""
import re

import cases
import host
from bench import Skip
from hits import Hits

ACCESS_PLATFORM = 33                # VIRTIO_F_ACCESS_PLATFORM
PACKED = 34                         # VIRTIO_F_RING_PACKED
DEVICE = "disable-legacy=on,iommu_platform=on,ats=on"
CALLS = r"^(\w*(?:read|write)_iter) \[(?:vhx_net|vhost_net)\]"


def translated(bench, kind):
    """DMA goes through a domain of its own kind, and vhost knows."""
    guest = bench.guests[0]
    dev = "/sys/class/net/eth0/device"
    if guest.check(f"cat {dev}/features")[ACCESS_PLATFORM] != "1":
        raise host.HostError("VIRTIO_F_ACCESS_PLATFORM was not negotiated")
    found = guest.check(f"cat $(readlink -f {dev})/../iommu_group/type").strip()
    if found != kind:
        raise host.HostError(f"the guest's domain is {found}")
    path = [d["path"] for d in guest.qmp("x-query-virtio")
            if d["name"] == "virtio-net"][0]
    status = guest.device_status(path)
    if status and "IOMMU_PLATFORM" not in \
            str(status["vhost-dev"]["acked-features"]):
        raise host.HostError(f"vhost was not told: {status['vhost-dev']}")
    return found


def flushes_all(bench):
    """In 7.2 a flush of all reaches vhost as something else: with in-tree
    vhost_net too the guest then gets what is not its own."""
    version = bench.guests[0].qmp("query-version")["qemu"]
    if version["major"] < 10:
        raise Skip("this QEMU loses invalidations of a whole domain")


def messages(bench, lazy, func, *args):
    """A case, and how often QEMU read and wrote the node in it: misses, and
    updates with invalidations."""
    if lazy:
        flushes_all(bench)
    with open("/sys/kernel/tracing/available_filter_functions") as file:
        names = re.findall(CALLS, file.read(), re.M)
    with Hits(*names) as hits:
        remark = func(bench, *args)
    return f"{remark}; {hits.counts}"


def group_of(bench, case, lazy, word, device=""):
    bench.size = 1 << 20
    bench.add(machine="viommu-lazy" if lazy else "viommu",
              device=DEVICE + device)
    if not case(word + "boot_ok", bench.start):
        return False
    case(word + "translated_ok", translated, bench, "DMA-FQ" if lazy else "DMA")
    for name, func, *args in cases.TRAFFIC:
        case(word + name, messages, bench, lazy, func, *args)
    return True


def group(bench, case):
    """Strict: each buffer is unmapped, and invalidated, when it is done."""
    if not group_of(bench, case, False, "viommu_"):
        return
    case("viommu_unbind_under_traffic_ok", cases.unbind, bench)
    case("viommu_reset_under_traffic_ok", cases.reset, bench)


def group_lazy(bench, case):
    """What Linux does unless told: unmaps are gathered."""
    group_of(bench, case, True, "viommu_lazy_")


def group_packed(bench, case):
    """The ring that is translated is written by both sides."""
    if not group_of(bench, case, False, "packed_viommu_", ",packed=on"):
        return
    case("packed_viommu_features_ok", cases.features_on, bench, PACKED)
    case("packed_viommu_unbind_under_traffic_ok", cases.unbind, bench)
    case("packed_viommu_reset_under_traffic_ok", cases.reset, bench)
