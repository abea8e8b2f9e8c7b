#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Who may use nodes and sockets: by udev's rules, systemd's units and AppArmor's
profile of libvirt. KTAP on stdout.

usage: rights.py FOLDER      of pin_client

Runs in L1, as root: vm run -b -g K -r system. VHX_INSTALLED is what `make
install-tools` made. udevd and AppArmor's parser are of the root, systemd is this
machine's: PID 1 of a namespace, which systemd.py runs in.
"""
import contextlib
import errno
import glob
import os
import subprocess
import sys
import time

import host
from guest import Net, open_tap

NODE = "/dev/vhost-net-vhx"
USER, GROUP = 64055, "kvm"          # as libvirt's package makes them
PROFILE = "libvirt-12345678-1234-1234-1234-123456789abc"
LINE = "/dev/vhost-net-* rw,"
MADE = "/run/vhx-made"
UDEVD = "/usr/lib/systemd/systemd-udevd"
CASES = []


class Wrong(Exception):
    """What may be used is not what should be."""


def case(area):
    def add(func):
        CASES.append((area, func))
        return func
    return add


def expect(wanted, got, what=""):
    if wanted != got:
        raise Wrong(f"{what}: {got!r}, not {wanted!r}")


def until(is_so, what, secs=60):
    deadline = time.monotonic() + secs
    while not is_so():
        if time.monotonic() > deadline:
            raise Wrong(what)
        time.sleep(0.1)


def read(path):
    with open(path) as file:
        return file.read()


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def make_users():
    """The group that udev's package makes, and QEMU's user, which is in it."""
    with open("/etc/group", "a+") as file:
        file.seek(0)
        if f"\n{GROUP}:" not in file.read():
            file.write(f"{GROUP}:x:64056:\n")
    with open("/etc/passwd", "a") as file:
        file.write(f"libvirt-qemu:x:{USER}:{gid()}::/nonexistent:/bin/false\n")


def gid():
    return int(next(line for line in read("/etc/group").splitlines()
                    if line.startswith(f"{GROUP}:")).split(":")[2])


def as_user(uid, group):
    return ["setpriv", f"--reuid={uid}", f"--regid={group}", "--clear-groups"]


# -- udev ---------------------------------------------------------------------

def prepare_udev():
    """The root, with its rules and those that were installed."""
    enter = host.enter_root("system")
    root = enter[1]
    for path in ("/etc/passwd", "/etc/group"):
        write(root + path, read(path))
    for folder in ("/usr/lib/udev/rules.d", "/usr/local/lib/udev/rules.d"):
        os.makedirs(root + folder, exist_ok=True)
        for rule in glob.glob(f"{MADE}{folder}/*.rules"):
            host.sh("cp", rule, f"{root}{folder}/")
    host.sh("modprobe", "tun")
    return enter


@contextlib.contextmanager
def udevd(enter):
    """With the rules that are there now: a reload may take effect after the next
    event."""
    with subprocess.Popen([*enter, UDEVD], stderr=subprocess.DEVNULL) as proc:
        try:
            until(lambda: not subprocess.run(
                [*enter, "udevadm", "control", "--ping"],
                stderr=subprocess.DEVNULL, check=False).returncode,
                "udevd does not answer")
            host.sh(*enter, "udevadm", "trigger", "--action=add",
                    "--subsystem-match=misc")
            settle(enter)
            yield
        finally:
            proc.terminate()


def settle(enter):
    host.sh(*enter, "udevadm", "settle", "--timeout=60")


def rights(path):
    found = os.stat(path)
    return found.st_gid, found.st_mode & 0o777


def expect_rights(path):
    """udevadm settle may come before the daemon has heard of the device."""
    wanted = gid(), 0o660
    with contextlib.suppress(Wrong):
        until(lambda: rights(path) == wanted, "")
    expect(wanted, rights(path), path)


def all_rights():
    return {path: rights(path) for path in glob.glob("/dev/*")
            if host.is_node(path)}


@contextlib.contextmanager
def module(node, enter):
    ko = os.environ["VHX_KO"]
    for name in host.sh("modinfo", "-F", "depends", ko).strip().split(","):
        host.sh("modprobe", name)
    host.sh("insmod", ko, f"node={node}")
    until(lambda: host.is_node("/dev/" + node), f"no /dev/{node}")
    settle(enter)
    try:
        yield
    finally:
        host.unload("vhx_net")


@case("udev")
def without_the_rule_is_for_root_ok(rig):
    """What the next tests are for."""
    rule = f"{rig.enter[1]}/usr/lib/udev/rules.d/60-vhx.rules"
    os.rename(rule, rule + ".away")
    try:
        with udevd(rig.enter), module("vhost-net-vhx", rig.enter):
            expect((0, 0o600), rights(NODE))
    finally:
        os.rename(rule + ".away", rule)
        rig.udevd.enter_context(udevd(rig.enter))


@case("udev")
def another_name_of_the_node_ok(rig):
    with module("vhost-net-vhx", rig.enter):
        expect_rights(NODE)
        code = f"import os; os.open('{NODE}', os.O_RDWR)"
        python = ["/usr/bin/python3", "-I", "-c", code]
        host.sh(*as_user(USER, GROUP), *python)
        done = subprocess.run([*as_user(65534, 65534), *python], text=True,
                              stderr=subprocess.PIPE, check=False)
        if os.strerror(errno.EACCES) not in done.stderr:
            raise Wrong(f"of nobody: {done.stderr}")


@case("udev")
def any_name_of_the_node_ok(rig):
    """Of one in a folder as well."""
    for node in ("x", "vhx/net0", "vhost-net"):
        with module(node, rig.enter):
            expect_rights("/dev/" + node)


@case("udev")
def no_other_device_is_meant_ok(rig):
    """Triggered anew, with the module there, nothing else has changed."""
    host.sh("modprobe", "-a", "vhost_vsock", "cuse", "kvm_amd", "uinput")
    settle(rig.enter)
    before = all_rights()
    with module("vhost-net-vhx", rig.enter):
        host.sh(*rig.enter, "udevadm", "trigger", "--action=change",
                "--subsystem-match=misc")
        settle(rig.enter)
        after = all_rights()
    expect((gid(), 0o660), after.pop(NODE))
    expect(before, after)
    if len(before) < 10 or "/dev/vhost-vsock" not in before:
        raise Wrong(f"few devices: {sorted(before)}")


# -- systemd ------------------------------------------------------------------

KEPT_UNITS = "systemd-journald systemd-tmpfiles-setup.service"
TARGET = """\
[Unit]
Requires=basic.target
After=basic.target
"""
START = """\
echo $$ >/sys/fs/cgroup/vhx-systemd/cgroup.procs
exec unshare --mount --uts --cgroup --pid --fork --kill-child --mount-proc sh -c '
umount /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec env -i container=vhx "PATH=$PATH" /lib/systemd/systemd --unit=vhx.target'
"""


def mask_units():
    """Of this machine's units only what those under test need."""
    for folder in ("/lib/systemd/system", "/etc/systemd/system"):
        for path in glob.glob(f"{folder}/*.wants/*"):
            name = os.path.basename(path)
            if not name.startswith(tuple(KEPT_UNITS.split())):
                with contextlib.suppress(FileExistsError):
                    os.symlink("/dev/null", f"/run/systemd/system/{name}")


def start_systemd():
    """PID 1 of a namespace. Return: its number here."""
    write("/run/systemd/system/vhx.target", TARGET)
    mask_units()
    os.makedirs("/sys/fs/cgroup/vhx-systemd")
    write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu +memory +pids")
    proc = subprocess.Popen(["sh", "-c", START])
    children = f"/proc/{proc.pid}/task/{proc.pid}/children"
    until(lambda: read(children).strip(), "no systemd")
    return read(children).split()[0]


def run_systemd(folder):
    pid, group = start_systemd(), "/sys/fs/cgroup/vhx-systemd/tests"
    os.makedirs(group)
    return subprocess.run(
        ["nsenter", "-t", pid, "-m", "-u", "-C", "-p", f"--wd={os.getcwd()}",
         "tools/testing/vm/systemd.py", folder, str(len(CASES))],
        check=False, timeout=700,
        preexec_fn=lambda: write(f"{group}/cgroup.procs", "0")).returncode


# -- AppArmor -----------------------------------------------------------------

def load_profile(rig, local):
    """That of a domain, as virt-aa-helper makes it of the package's template."""
    etc = f"{rig.enter[1]}/etc/apparmor.d"
    write(f"{etc}/local/abstractions/libvirt-qemu", local + "\n")
    write(f"{etc}/libvirt/{PROFILE}", read(f"{etc}/libvirt/TEMPLATE.qemu").replace(
        "LIBVIRT_TEMPLATE", PROFILE))
    host.sh(*rig.enter, "apparmor_parser", "-r", "-K",
            f"/etc/apparmor.d/libvirt/{PROFILE}")
    if PROFILE + " (enforce)" not in read("/sys/kernel/security/apparmor/profiles"):
        raise Wrong("the profile is not there")


def enter_profile():
    with open("/proc/self/attr/apparmor/exec", "w") as file:
        file.write(f"exec {PROFILE}")


def confined(script, *fds):
    """What a shell says in the profile, which lets QEMU run one."""
    return subprocess.run(["dash", "-c", script], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=False,
                          pass_fds=fds, preexec_fn=enter_profile).stdout


def asks_of_node(rig, local):
    """Whether a domain may open it, and read and write one that libvirt opened."""
    load_profile(rig, local)
    denied = os.strerror(errno.EACCES)
    fd = os.open(NODE, os.O_RDWR | os.O_NONBLOCK)
    try:
        said = [confined(f": <>{NODE}"), confined(f"exec cat <&{fd}", fd),
                confined(f"exec dd if=/etc/passwd bs=1 count=1 >&{fd}", fd)]
    finally:
        os.close(fd)
    print(f"# {local or 'the profile as it is'}: {said}")
    return ["denied" if denied in text else "ok" for text in said]


@case("apparmor")
def node_of_another_name_is_denied_eacces(rig):
    """Opened by QEMU itself. What a process opened that is not confined is not looked
    at again, nor are ioctls."""
    if read("/sys/module/apparmor/parameters/enabled").strip() != "Y":
        raise Wrong("this kernel has no AppArmor")
    with module("vhost-net-vhx", rig.enter):
        expect(["denied", "ok", "ok"], asks_of_node(rig, ""))


@case("apparmor")
def node_with_the_line_ok(rig):
    """The one of the guide. What it says of the node is in the module's hands."""
    with module("vhost-net-vhx", rig.enter):
        expect(["ok", "ok", "ok"], asks_of_node(rig, LINE))


@case("apparmor")
def qemu_starts_without_the_line_ok(rig):
    """By a descriptor of the node, as libvirt does."""
    load_profile(rig, "")
    host.make_tap("tapa")
    with module("vhost-net-vhx", rig.enter):
        fds = [open_tap(Net("tapa", "")), os.open(NODE, os.O_RDWR)]
        with subprocess.Popen(
                ["qemu-system-x86_64", "-M", "q35", "-nodefaults", "-display", "none",
                 "-S", "-netdev", f"tap,id=n,fd={fds[0]},vhost=on,vhostfd={fds[1]}",
                 "-device", "virtio-net-pci,netdev=n,romfile=", "-qmp", "stdio"],
                pass_fds=fds, preexec_fn=enter_profile, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE) as qemu:
            for fd in fds:
                os.close(fd)
            hello = qemu.stdout.readline()
            label = read(f"/proc/{qemu.pid}/attr/apparmor/current")
            found = list(host.workers(qemu.pid))
            qemu.kill()
    host.drop_tap("tapa")
    expect(f"{PROFILE} (enforce)", label.strip())
    if "QMP" not in hello or not found:
        raise Wrong(f"no worker: {hello}")


# -- all ----------------------------------------------------------------------

class Rig:
    def __init__(self, enter):
        self.enter = enter
        self.udevd = contextlib.ExitStack()


def main(folder):
    make_users()
    host.sh("cp", "-a", os.environ["VHX_INSTALLED"] + "/.", "/")
    host.sh("cp", "-a", os.environ["VHX_INSTALLED"] + "/.", MADE)
    host.sh("make", "-s", "install", f"DESTDIR={MADE}", "DKMS=",
            f"MODULE={os.environ['VHX_KO']}")
    rig = Rig(prepare_udev())
    host.sh("mount", "-t", "securityfs", "securityfs", "/sys/kernel/security")
    host.sh("mount", "--bind", "/sys/kernel/security",
            rig.enter[1] + "/sys/kernel/security")
    print("KTAP version 1", flush=True)
    failed = 0
    for number, (area, func) in enumerate(CASES, 1):
        verdict = "ok"
        try:
            func(rig)
        except Exception as err:    # a case's failure is its verdict
            verdict = "not ok"
            failed += 1
            for line in f"{type(err).__name__}: {err}".splitlines():
                print(f"# {line}")
        print(f"{verdict} {number} rights.{area}.{func.__name__}", flush=True)
    failed += run_systemd(folder) != 0
    rig.udevd.close()
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
