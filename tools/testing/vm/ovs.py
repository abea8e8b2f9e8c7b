# SPDX-License-Identifier: GPL-2.0-only
"""Two guests on taps of an Open vSwitch with the kernel's datapath."""
import os
import shutil

import cases
import host

BRIDGE = "vhxovs0"
DIR = "/run/vhx-ovs"
DB = f"unix:{DIR}/db.sock"


class Switch:
    """The daemons, and one bridge with the host's address on it."""

    def __init__(self):
        self.enter = ["env", f"OVS_RUNDIR={DIR}", f"OVS_LOGDIR={DIR}",
                      f"OVS_DBDIR={DIR}", *host.enter_root("ovs")]

    def run(self, *argv):
        return host.sh(*self.enter, *argv)

    def vsctl(self, *argv):
        return self.run("ovs-vsctl", f"--db={DB}", "--timeout=30", *argv)

    def daemon(self, path, *argv):
        self.run(path, *argv, "--detach", "--no-chdir", "--log-file",
                 f"--pidfile={DIR}/{os.path.basename(path)}.pid")

    def start(self):
        host.sh("modprobe", "openvswitch")
        os.makedirs(DIR)
        self.run("ovsdb-tool", "create", f"{DIR}/conf.db",
                 "/usr/share/openvswitch/vswitch.ovsschema")
        self.daemon("/usr/sbin/ovsdb-server", f"{DIR}/conf.db",
                    f"--remote=p{DB}")
        self.vsctl("--no-wait", "init")
        self.daemon("/usr/lib/openvswitch-switch/ovs-vswitchd", DB)
        self.vsctl("add-br", BRIDGE)
        host.sh("ip", "addr", "add", f"{host.ADDR}/24", "dev", BRIDGE)
        host.sh("ip", "link", "set", BRIDGE, "up")
        return self.run("ovs-vsctl", "--version").splitlines()[0]

    def add_ports(self, taps):
        for tap in taps:
            self.vsctl("add-port", BRIDGE, tap)

    def kernel_path(self, taps):
        """The taps are ports of the kernel's datapath, which has flows."""
        shown = self.run("ovs-appctl", "dpctl/show")
        flows = self.run("ovs-appctl", "dpctl/dump-flows").count("packets:")
        if not shown.startswith("system@") or not flows or \
                not all(tap in shown for tap in taps):
            raise host.HostError(f"{flows} flows in {shown}")
        return f"{flows} flows"

    def stop(self):
        self.vsctl("del-br", BRIDGE)
        for name in ("ovs-vswitchd", "ovsdb-server"):
            self.run("ovs-appctl", "-t", name, "exit")
        shutil.rmtree(DIR)
        host.sh("rmmod", "openvswitch")


def traffic(bench, case, switch):
    bench.add()
    bench.add()
    if not case("ovs_add_ports_ok", switch.add_ports, bench.taps) or \
            not case("ovs_boot_ok", bench.start):
        return
    case("ovs_ping_host_ok", cases.ping_host, bench)
    case("ovs_ping_guest_ok", cases.ping_guest, bench)
    case("ovs_tcp_guest_guest_ok", cases.tcp_guest_guest, bench)
    case("ovs_file_guest_guest_ok", cases.file_guest_guest, bench)
    case("ovs_kernel_path_ok", switch.kernel_path, bench.taps)


def group(bench, case):
    switch = Switch()
    with host.no_bridge():
        if not case("ovs_switch_starts_ok", switch.start):
            return
        try:
            traffic(bench, case, switch)
        finally:
            bench.stop()
            case("ovs_switch_stops_ok", switch.stop)
