#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""vhx-switch.service and vhx-pin.service, by a systemd that rights.py started: KTAP
on stdout.

usage: systemd.py FOLDER FIRST      of pin_client; results before these
"""
import contextlib
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../switch"))
import by_hand  # noqa: E402
import host  # noqa: E402
from bench import MAC  # noqa: E402
from guest import Guest, Net  # noqa: E402
from rights import (CASES, GROUP, USER, as_user, case, expect, gid,  # noqa: E402
                    read, rights, settle, until, write, Wrong)

UNIT = "vhx-switch"
CONF = "/etc/vhx/switch.conf"
DROP_IN = f"/run/systemd/system/{UNIT}.service.d/test.conf"
SOCKETS = "/run/vhx-switch"
PAGE = "Documentation/man/vhx-switch.8"
QEMU = "/run/vhx-qemu"
ADDR = "10.77.0.{}"
BEGAN = []
del CASES[:]


def systemctl(*argv, status=0):
    done = subprocess.run(["systemctl", "--no-pager", *argv], text=True, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    expect(status, done.returncode, f"{argv}: {done.stdout}")
    return done.stdout.strip()


def show(name, unit=UNIT):
    return systemctl("show", "--value", "-p", name, unit)


def main_pid(unit=UNIT):
    return int(show("MainPID", unit))


def ask(*words, user=()):
    return subprocess.run([*user, "vhx-switch", "ctl", *words], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, check=False)


def ports():
    return {port["name"]: port for port in
            json.loads(ask("show", "ports", "--json").stdout)}


def journal(unit=UNIT):
    """Lines since the case began: level and text."""
    subprocess.run(["journalctl", "--sync"], check=False)
    out = host.sh("journalctl", "-q", "-o", "json", "--no-pager",
                  f"_SYSTEMD_UNIT={unit}.service", f"--since=@{BEGAN[-1]:.6f}")
    return [(int(line["PRIORITY"]), line["MESSAGE"])
            for line in map(json.loads, out.splitlines())]


def configure(*specs, options=""):
    words = " ".join(f"--port {spec}" for spec in specs)
    write(CONF, f'OPTIONS="{options} {words}"\n')


def user_port(name, more=",mode=0660"):
    return f"vhost-user,path={SOCKETS}/{name},name={name}{more}"


def status_of(pid):
    return dict(line.split(":\t", 1) for line in
                read(f"/proc/{pid}/status").splitlines())


def drop_ins():
    """Those of the manual."""
    found = re.findall(r"^\.EX\n(\[Service\]\n.*?)^\.EE$", read(PAGE), re.M | re.S)
    return [text.replace("\\-", "-") for text in found]


@contextlib.contextmanager
def running(*specs, drop_in=""):
    if drop_in:
        write(DROP_IN, drop_in)
        systemctl("daemon-reload")
    configure(*specs)
    systemctl("start", UNIT)
    try:
        yield
    finally:
        systemctl("stop", UNIT)
        if drop_in:
            os.unlink(DROP_IN)
            systemctl("daemon-reload")


class UserGuest(Guest):
    """QEMU as libvirt starts it: as a user in the group."""

    def launch(self, deadline):
        os.chown(self.dir, USER, gid())
        super().launch(deadline)


def guest(number):
    name = "ab"[number - 1]
    return UserGuest([Net("", MAC.format(number), ADDR.format(number) + "/24",
                          user=f"{SOCKETS}/{name}")], name=f"guest-{name}")


def ping(source, number):
    until(lambda: not source.run(f"ping -c 1 -W 2 {ADDR.format(number)}")[0],
          f"no answer of {number}: {ports()}", 120)


# -- vhx-switch ---------------------------------------------------------------

@case("switch")
def off_until_enabled_ok(_rig):
    systemctl("is-enabled", UNIT, status=1)
    systemctl("enable", UNIT)
    systemctl("is-enabled", UNIT)
    systemctl("disable", UNIT)


@case("switch")
def without_configuration_ok(_rig):
    systemctl("start", UNIT)
    expect(("active", "0 ports"), (show("ActiveState"), show("StatusText")))
    expect(0, ask("add", user_port("a")).returncode)
    until(lambda: show("StatusText") == "1 port", "the status is an old one")
    systemctl("stop", UNIT)
    expect(("inactive", "success"), (show("ActiveState"), show("Result")))
    expect(False, os.path.exists(SOCKETS))
    expect([], [line for line in journal() if line[0] < 5])


@case("switch")
def has_no_rights_ok(_rig):
    with running(user_port("a")):
        found = status_of(main_pid())
        uids, gids = set(found["Uid"].split()), set(found["Gid"].split())
        if "0" in uids or uids & {str(USER)}:
            raise Wrong(f"users {uids}")
        expect({str(gid())}, gids)
        expect({"0" * 16}, {found[name] for name in
                            ("CapEff", "CapPrm", "CapBnd", "CapAmb")})
        expect(("1", "2"), (found["NoNewPrivs"], found["Seccomp"]))
        expect((gid(), 0o750), rights(SOCKETS))
        expect((gid(), 0o660), rights(f"{SOCKETS}/a"))
        expect(0o700, rights(f"{SOCKETS}/ctl")[1])


@case("switch")
def sockets_are_of_the_group_ok(_rig):
    code = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    denied = os.strerror(errno.EACCES)
    with running(user_port("a"), user_port("own", "")):
        for name, user, is_let_in in (("a", as_user(USER, GROUP), True),
                                      ("own", as_user(USER, GROUP), False),
                                      ("ctl", as_user(USER, GROUP), False),
                                      ("a", as_user(65534, 65534), False)):
            done = subprocess.run([*user, "/usr/bin/python3", "-I", "-c", code,
                                   f"{SOCKETS}/{name}"], text=True, check=False,
                                  stderr=subprocess.PIPE)
            expect((is_let_in, not is_let_in),
                   (not done.returncode, denied in done.stderr),
                   f"{name}: {done.stderr}")
        done = ask("show", "ports", user=as_user(USER, GROUP))
        expect((1, True), (done.returncode, f"{SOCKETS}/ctl: {denied}" in
                           done.stdout), done.stdout)


def kinds_of_files(pid):
    """Those that the library has for its own use."""
    return {link for link in (os.readlink(f"/proc/{pid}/fd/{fd}")
                              for fd in os.listdir(f"/proc/{pid}/fd"))
            if link.startswith(("anon_inode:", "/memfd:"))}


def with_a_guest(path, pid):
    """A frame of a guest, so that all is in use."""
    peer = by_hand.Guest(path)
    peer.send(b"\xff" * 6 + bytes(60))
    until(lambda: re.search(r"tx0 +frames +1$", ask("show", "queues").stdout, re.M),
          "no frame")
    kinds = kinds_of_files(pid)
    peer.close()
    return kinds


@case("switch")
def sandbox_takes_nothing_away_ok(_rig):
    """What a system call that is refused takes from the library, it does without:
    as of a guest that cuts off its memory, or makes an eventfd full."""
    path = f"{SOCKETS}/a"
    with running(user_port("a")):
        served = with_a_guest(path, main_pid())
    os.makedirs(SOCKETS)
    free = subprocess.Popen(["vhx-switch", f"--ctl={SOCKETS}/ctl", "--port",
                             user_port("a")])
    try:
        until(lambda: ask("help").returncode == 0, "it does not answer")
        wanted = with_a_guest(path, free.pid)
    finally:
        free.terminate()
        free.wait()
        os.rmdir(SOCKETS)
    if not {"/memfd:vhx-wreck (deleted)", "/memfd:vhx-nothing (deleted)",
            "anon_inode:[io_uring]"} <= wanted:
        raise Wrong(str(wanted))
    expect(wanted, served)


@case("switch")
def qemu_of_another_user_ok(_rig):
    """Two guests, through a switch that is restarted, and one that is killed."""
    with running(user_port("a"), user_port("b", ",mode=0660,group=kvm")):
        with guest(1) as one, guest(2) as two:
            expect(str(USER), status_of(one.pid)["Uid"].split()[0])
            ping(one, 2)
            ping(two, 1)
            expect(["up", "up"], [port["state"] for port in ports().values()])
            seen = json.loads(host.sh("vhx-top", "--json"))
            if not {"a", "b"} <= set(re.findall(r'"(\w+)"', json.dumps(seen))):
                raise Wrong(f"vhx-top: {seen}")
            systemctl("restart", UNIT)
            ping(one, 2)
            old = main_pid()
            os.kill(old, signal.SIGKILL)
            until(lambda: main_pid() not in (0, old) and
                  show("ActiveState") == "active", "not started again")
            expect("1", show("NRestarts"))
            ping(one, 2)
        expect([], [line for line in journal() if line[0] < 4])


@case("switch")
def wrong_option_is_not_tried_again_ok(_rig):
    configure(options="--bogus")
    systemctl("start", UNIT, status=1)
    expect(("failed", "64", "0"), (show("ActiveState"), show("ExecMainStatus"),
                                   show("NRestarts")))


@case("switch")
def wrong_port_is_in_the_journal_ok(_rig):
    configure("foo")
    systemctl("start", UNIT, status=1)
    line = (3, "--port foo: foo: no such kind of port: vhost-user, cuse or tap")
    if line not in journal():
        raise Wrong(str(journal()))
    systemctl("stop", UNIT)


@case("switch")
def tap_needs_a_drop_in_ok(_rig):
    host.sh("ip", "tuntap", "add", "vhxg", "mode", "tap", "group", GROUP)
    with running():
        expect(1, ask("add", "tap,ifname=vhxg").returncode)
    with running("tap,ifname=vhxg", drop_in=drop_ins()[0]):
        expect("up", ports()["vhxg"]["state"])
        expect("0" * 16, status_of(main_pid())["CapEff"])
        said = ask("add", "tap,ifname=vhxnew").stdout
        if "make the tap for this user" not in said:
            raise Wrong(said)
    host.drop_tap("vhxg")


@case("switch")
def tap_by_capability_ok(_rig):
    with running("tap,ifname=vhxnew", drop_in=drop_ins()[0] + drop_ins()[1]):
        expect("up", ports()["vhxnew"]["state"])
        expect(1 << 12, int(status_of(main_pid())["CapEff"], 16))
        if "0" in status_of(main_pid())["Uid"].split():
            raise Wrong("it is root")


@case("switch")
def cuse_node_ok(rig):
    """Its group may open it, and a guest of a QEMU of that group is on it."""
    host.sh("modprobe", "cuse")
    host.sh("ip", "tuntap", "add", "vhxt", "mode", "tap", "user", str(USER))
    with running("cuse,node=vhx0", "cuse,node=other", user_port("a"),
                 drop_in=drop_ins()[2]):
        until(lambda: os.path.exists("/dev/vhx0") and os.path.exists("/dev/other"),
              "no node")
        settle(rig.enter)
        expect((gid(), 0o660), rights("/dev/vhx0"))
        expect((0, 0o600), rights("/dev/other"))
        two = UserGuest([Net("vhxt", MAC.format(2), ADDR.format(2) + "/24",
                             node="/dev/vhx0", vhostfd=True)], name="guest-b",
                        is_shared=True)
        with guest(1) as one, two:
            ping(one, 2)
            expect("up", ports()["vhx0"]["state"])


# -- vhx-pin ------------------------------------------------------------------

RULES = "/etc/vhx/placement.conf"


@case("pin")
def without_rules_is_not_started_ok(_rig):
    systemctl("start", "vhx-pin")
    expect(("inactive", "no"), (show("ActiveState", "vhx-pin"),
                                show("ConditionResult", "vhx-pin")))


def worker_of(pid):
    """The number in its name is of another namespace."""
    return next(int(tid) for tid in os.listdir(f"/proc/{pid}/task")
                if read(f"/proc/{pid}/task/{tid}/comm").startswith("vhost-"))


@case("pin")
def rules_of_the_unit_ok(rig):
    """Each way of placing, with the rights that the unit has; anew at a reload."""
    host.load("vhx_net", "/dev/vhost-net")
    write(RULES, "user=root vm=db cpus=1 fifo=3 cgroup=w\n")
    systemctl("start", "vhx-pin")
    client = subprocess.Popen([f"{rig.folder}/pin_client", "tapa", rig.kind, "-name",
                               "guest=db"], text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE,
                              env={**os.environ, "VHX_MODULE": "vhx_net"})
    try:
        expect("ok", client.stdout.readline().strip())
        tid = worker_of(client.pid)
        until(lambda: (os.sched_getaffinity(tid), os.sched_getscheduler(tid)) ==
              ({1}, os.SCHED_FIFO), "not placed")
        if not read(f"/proc/{tid}/cgroup").strip().endswith("/w"):
            raise Wrong(read(f"/proc/{tid}/cgroup"))
        write(RULES, "vm=db cpus=0 nice=-5\n")
        systemctl("reload", "vhx-pin")
        until(lambda: (os.sched_getaffinity(tid), os.getpriority(
            os.PRIO_PROCESS, tid)) == ({0}, -5), "not placed anew")
        expect([], [line for line in journal("vhx-pin") if line[0] < 5])
    finally:
        client.stdin.close()
        client.wait()
    systemctl("stop", "vhx-pin")
    expect("success", show("Result", "vhx-pin"))
    host.unload("vhx_net")


@case("pin")
def wrong_rule_is_not_tried_again_ok(_rig):
    write(RULES, "user=no-such-user cpus=1\n")
    systemctl("start", "vhx-pin")
    until(lambda: show("ActiveState", "vhx-pin") == "failed", "it runs")
    expect(("78", "0"), (show("ExecMainStatus", "vhx-pin"),
                         show("NRestarts", "vhx-pin")))
    line = (4, f"{RULES}:1: user=no-such-user: no such user")
    if line not in journal("vhx-pin"):
        raise Wrong(str(journal("vhx-pin")))


# -- all ----------------------------------------------------------------------

class Rig:
    def __init__(self, folder):
        self.folder, self.enter = folder, host.enter_root("system")
        self.kind = "task" if " vhost_task_create" in read("/proc/kallsyms") \
            else "kthread"


def prepare():
    """What a QEMU of another user needs: its program, the guest's files, KVM."""
    write(QEMU, f"#!/bin/sh\nexec {' '.join(as_user(USER, GROUP))} "
          "qemu-system-x86_64 \"$@\"\n")
    os.chmod(QEMU, 0o755)
    Guest.qemu = [QEMU]
    for name in ("VHX_GUEST_VMLINUX", "VHX_GUEST_INITRD"):
        path = os.environ[name]
        while len(path := os.path.dirname(path)) > 1:
            os.chmod(path, os.stat(path).st_mode | 0o11)
    host.modprobe_kvm()
    os.chmod("/dev/kvm", 0o666)
    until(lambda: not subprocess.run(["systemctl", "is-active", "-q", "vhx.target"],
                                     check=False, stderr=subprocess.DEVNULL
                                     ).returncode, "systemd does not come up", 240)


def begin():
    """As if no case had been: no configuration, starts are counted anew."""
    systemctl("stop", UNIT, "vhx-pin")
    for path in (CONF, RULES, DROP_IN):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    systemctl("daemon-reload")
    systemctl("reset-failed")
    BEGAN.append(time.time())


def main(folder, first):
    prepare()
    rig, failed = Rig(folder), 0
    for number, (area, func) in enumerate(CASES, int(first) + 1):
        verdict = "ok"
        try:
            begin()
            func(rig)
        except Exception as err:    # a case's failure is its verdict
            verdict = "not ok"
            failed += 1
            for line in f"{type(err).__name__}: {err}".splitlines():
                print(f"# {line}")
        print(f"# {time.time() - BEGAN[-1]:.1f} s")
        print(f"{verdict} {number} rights.{area}.{func.__name__}", flush=True)
    print(f"1..{int(first) + len(CASES)}", flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
