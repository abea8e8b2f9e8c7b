# SPDX-License-Identifier: GPL-2.0-only
"""Steps of install.py: each way not to be served by vhx_net is made, and
vhx-status has to name it. $VHX_STATUS is the program."""
import contextlib
import errno
import json
import os
import re
import shutil
import subprocess

import host
from installed import CONF, KREL, NODE, expect, loaded, open_node, sh, unload

STATUS = os.environ.get("VHX_STATUS", "vhx-status")
OPTIONS = "/etc/modprobe.d/zz-test.conf"
REFUSED = "/run/vhx-refused"
NOBODY = 65534
STEPS = []
LAST_STEPS = []                 # the kernel is not as before


def step(func):
    STEPS.append(func)
    return func


# -- what it says -------------------------------------------------------------

def run(*args, **options):
    done = subprocess.run([STATUS, *args], capture_output=True, text=True,
                          check=False, **options)
    if done.stderr:
        raise host.HostError(f"{args}: {done.stderr}")
    return done.returncode, done.stdout


def status(word, number, *codes):
    """In all three formats. Return: what --json has."""
    returned, text = run("--json")
    told = json.loads(text)
    got = (told["word"], told["status"], returned,
           *(reason["code"] for reason in told["reasons"]))
    if got != (word, number, number, *codes):
        raise host.HostError(f"expected {word}, {number}, {codes}: {text}")
    returned, text = run()
    expect((number, word), (returned, text.splitlines()[0]))
    returned, text = run("--check")
    expect((number, word), (returned, text.split(":")[0]))
    for reason in told["reasons"]:
        if reason["text"] not in text:
            raise host.HostError(f"--check does not say: {reason['text']}")
    return told


def kernel_lines():
    """Those of the install rule."""
    return [line.split("vhx: ", 1)[1] for line in sh("dmesg").splitlines()
            if "] vhx: " in line]


@contextlib.contextmanager
def configured(*lines):
    unload()
    with open(OPTIONS, "w") as file:
        file.write("".join(line + "\n" for line in lines))
    try:
        yield
    finally:
        os.unlink(OPTIONS)
        unload()


@contextlib.contextmanager
def module_file():
    """The installed module, to be changed; as before at the end."""
    path = sh("modinfo -n vhx_net").strip()
    shutil.copy(path, "/tmp/vhx_net.kept")
    unload()
    try:
        yield path
    finally:
        shutil.copy("/tmp/vhx_net.kept", path)
        unload()


def falls_back(*said):
    """The next open is served by in-tree, and one of these reasons written down."""
    before = len(kernel_lines())
    open_node()
    expect({"vhost_net"}, loaded())
    line, = kernel_lines()[before:]
    found = re.fullmatch(r"vhx_net is not loaded \((.*)\): in-tree vhost_net serves "
                         + NODE, line)
    if not found or found[1] not in said:
        raise host.HostError(f"expected {said}, got {line}")
    with open(REFUSED) as file:
        expect(line + "\n", file.read())


def see_guest(pid, tap):
    """A guest that runs, to root and to others."""
    told = status("vhx", 0)
    device, = told["devices"]
    worker, = host.workers(pid)
    expect((pid, "vhx", NODE), tuple(device[key] for key in ("pid", "kind", "node")))
    for name in ("rx", "tx"):
        expect((tap, int(worker), "split", "running"), tuple(
            device[name][key] for key in ("ifname", "worker", "format", "state")))
    if "version_1" not in device["features"]:
        raise host.HostError(device["features"])
    expect(sh("cat /sys/module/vhx_net/version").strip(), told["loaded"]["version"])
    expect(told["loaded"]["srcversion"], told["installed"]["srcversion"])
    expect("vhost-net", told["loaded"]["parameters"]["node"])
    expect(["installed"], [one["state"] for one in told["dkms"]])
    _, text = run()
    if not [line for line in text.splitlines() if str(pid) in line and tap in line
            and str(worker) in line and "split" in line]:
        raise host.HostError(text)
    # others may not enter the folder that it is in
    program = shutil.copy(shutil.which(STATUS), "/tmp/vhx-status")
    done = subprocess.run([program], user=NOBODY, group=NOBODY, extra_groups=[],
                          capture_output=True, text=True, check=False)
    if done.returncode or done.stderr or "hidden: run vhx-status as root" not in \
            done.stdout:
        raise host.HostError(f"{done.returncode}: {done.stderr}{done.stdout}")


# -- what there is to say -----------------------------------------------------

@step
def status_before_the_first_open_ready():
    unload()
    told = status("ready", 0)
    expect((None, False), (told["loaded"], told["configuration"]["strict"]))


@step
def status_of_bad_value_in_tree():
    with configured("options vhx_net features=6.2"):
        # it is seen before anybody opens the node
        status("nobody", 1, "parameter")
        falls_back("Invalid argument")
        told = status("in-tree", 1, "parameter", "node-taken")
    if f"{OPTIONS}:1" not in told["reasons"][0]["text"]:
        raise host.HostError(told["reasons"])
    expect(["vhx_net: features=6.2: take all, 6.1, 6.12 or 7.3"],
           told["refusal"]["kernel_log"])
    # mended: the next open loads it, and forgets
    open_node()
    status("vhx", 0)
    expect(False, os.path.exists(REFUSED))


@step
def status_of_no_number_in_tree():
    with configured("options vhx_net workers=two"):
        falls_back("Invalid argument")
        told = status("in-tree", 1, "parameter", "node-taken")
    if "invalid for parameter" not in told["refusal"]["kernel_log"][-1]:
        raise host.HostError(told["refusal"])
    open_node()


@step
def status_of_unknown_parameter_vhx():
    with configured("options vhx_net colour=red"):
        open_node()
        status("vhx", 0, "unknown-parameter")


@step
def status_of_strict_nobody():
    with configured("options vhx_net features=6.2", "options vhx strict=1"):
        told = status("nobody", 2, "parameter", "strict")
        expect(True, told["configuration"]["strict"])
        for _ in range(2):
            try:
                open_node()
            except OSError as err:
                expect(errno.ENODEV, err.errno)
            expect(set(), loaded())
        status("nobody", 2, "parameter", "strict")
        expect(f"vhx_net is not loaded (Invalid argument), and strict=1: nobody "
               f"serves {NODE}", kernel_lines()[-1])
    with configured("options vhx strict=1"):
        # refused a moment ago, and nothing is wrong any more
        open_node()
        status("vhx", 0)
    with configured("options vhx strict=0"):
        expect(False, status("ready", 0)["configuration"]["strict"])


@step
def status_of_short_file_in_tree():
    with module_file() as path:
        os.truncate(path, 20000)
        status("nobody", 1, "damaged")
        falls_back("Exec format error", "Invalid argument")
        status("in-tree", 1, "damaged", "node-taken")
    open_node()


@step
def status_of_other_vermagic_in_tree():
    """Of another kind of kernel; where the file is, its release may differ."""
    with module_file() as path:
        with open(path, "rb") as file:
            data = file.read()
        with open(path, "wb") as file:
            file.write(data.replace(b" SMP ", b" UPM "))
        falls_back("Exec format error")
        told = status("in-tree", 1, "wrong-kernel", "node-taken")
    if "version magic" not in told["refusal"]["kernel_log"][-1]:
        raise host.HostError(told["refusal"])
    open_node()


@step
def status_without_module_in_tree():
    with module_file() as path:
        os.unlink(path)
        status("nobody", 1, "no-module")
        sh("depmod")
        status("nobody", 1, "no-module")
        falls_back(f"Module vhx_net not found in directory /lib/modules/{KREL}")
        status("in-tree", 1, "no-module", "node-taken")
        shutil.copy("/tmp/vhx_net.kept", path)
        unload()
        status("nobody", 1, "no-depmod")
        sh("depmod")
        # what was refused is mended: it is a note
        status("ready", 0, "no-module")
    open_node()
    status("vhx", 0)


@step
def status_of_node_taken_in_tree():
    """vhost_net was there first: nothing is refused, and nothing is logged."""
    unload()
    before = kernel_lines()
    sh("modprobe vhost_net")
    sh("modprobe char-major-10-238")
    expect({"vhost_net"}, loaded())
    status("in-tree", 1, "node-taken")
    expect((before, False), (kernel_lines(), os.path.exists(REFUSED)))
    unload()


@step
def status_of_other_node_beside():
    before = kernel_lines()
    with configured("options vhx_net node=vhost-net-vhx"):
        status("ready", 0)
        # one open loads both: each has its node
        open_node()
        expect({"vhx_net", "vhost_net"}, loaded())
        told = status("beside", 0)
        expect("vhost-net-vhx", told["loaded"]["node"])
    sh("modprobe vhx_net node=vhost-net-vhx")
    status("beside", 0)
    open_node()
    status("beside", 0)
    unload()
    expect((before, False), (kernel_lines(), os.path.exists(REFUSED)))


RUNNER = """\
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'systemctl start vhx-check.service; \\
 systemctl start vhx-check.timer; \\
 systemctl show -P Result vhx-check.service >/tmp/check.out; \\
 systemctl is-enabled vhx-check.timer >>/tmp/check.out; \\
 systemctl is-active vhx-check.timer >>/tmp/check.out; \\
 journalctl --sync; journalctl -o cat -u vhx-check >>/tmp/check.out; \\
 systemctl exit'
"""
# Those need a machine of their own.
MASKED = "systemd-udevd systemd-udev-trigger systemd-modules-load systemd-sysctl " \
    "systemd-tmpfiles-setup systemd-tmpfiles-setup-dev systemd-sysusers " \
    "systemd-remount-fs systemd-random-seed systemd-binfmt systemd-pstore"


def check_by_systemd():
    """In a namespace with a systemd of its own. Return: result of vhx-check.service,
    state of the timer, lines of the journal"""
    units, program = "/run/systemd/system", "/usr/local/sbin/vhx-status"
    shutil.copy(STATUS, program)
    os.makedirs(units, exist_ok=True)
    for name in ("vhx-check.service", "vhx-check.timer"):
        with open(f"tools/vhx-top/{name}") as file, \
                open(f"{units}/{name}", "w") as unit:
            unit.write(file.read().replace("@SBIN@", os.path.dirname(program)))
    with open(f"{units}/vhx-run.service", "w") as unit:
        unit.write(RUNNER)
    for name in MASKED.split():
        sh(f"ln -sf /dev/null {units}/{name}.service")
    sh("mkdir -p /sys/fs/cgroup/check /run/log/journal; rm -f /tmp/check.out; "
       "echo $$ >/sys/fs/cgroup/check/cgroup.procs; "
       "exec timeout -s KILL 250 unshare -pfmuC --mount-proc sh -c '"
       "umount /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; "
       "exec env -i container=vhx PATH=$PATH /lib/systemd/systemd "
       "--unit=vhx-run.service --log-target=null'")
    os.unlink(program)
    shutil.rmtree(units)
    with open("/tmp/check.out") as file:
        return file.read().splitlines()


@step
def check_unit_fails_with_the_reason():
    if not os.path.exists("/lib/systemd/systemd"):
        raise host.HostError("no systemd here: apt-get install systemd")
    with configured("options vhx_net features=6.2"):
        falls_back("Invalid argument")
        result, enabled, active, *journal = check_by_systemd()
    expect(("exit-code", "disabled", "active"), (result, enabled, active))
    for line in (f"in-tree: {OPTIONS}:1: vhx_net does not take features=6.2",
                 "-> features: take all, 6.1, 6.12 or 7.3"):
        if line not in journal:
            raise host.HostError(journal)
    open_node()
    result, *_, last = check_by_systemd()
    expect(("success", "vhx: as it should be"), (result, last))


@step
def status_without_rule_nobody():
    unload()
    os.rename(CONF, "/tmp/vhx.conf")
    status("nobody", 1, "no-rule")
    sh("modprobe vhost_net")
    status("in-tree", 1, "no-rule", "node-taken")
    unload()
    os.rename("/tmp/vhx.conf", CONF)
    status("ready", 0)


@step
def status_of_signatures_required_in_tree():
    """The kernel takes no step back from that: it is the last one."""
    sh(f"make install DKMS= MODULE={os.environ['VHX_KO']}")
    status("ready", 0)
    sh("echo Y >/sys/module/module/parameters/sig_enforce")
    told = status("nobody", 1, "signature")
    expect((True, True, False), (told["signatures"]["sig_enforce"],
                                 told["signatures"]["required"],
                                 told["installed"]["signed"]))
    falls_back("Key was rejected by service")
    told = status("in-tree", 1, "signature", "node-taken")
    expect(True, told["refusal"]["kernel_log"][-1].startswith("Loading of "))
    unload()
    sh("make uninstall DKMS=")
    expect("", sh("find /lib/modules /run -name '*vhx*'").strip())
    returned, text = run("--check")
    expect((0, "nobody: vhx is not installed here\n"), (returned, text))
    expect(1, run()[0])


LAST_STEPS.append(STEPS.pop())
