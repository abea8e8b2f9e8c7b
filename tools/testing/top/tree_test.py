#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""vhx-top on recorded folders: what it prints, what it says of bad input, and
what it shows in a terminal (tmux). Prints KTAP. $PROMTOOL: words that run promtool.
usage: tree_test.py VHX-TOP [CASE...]"""
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time

from folder_cases import Failed, Skip, case, expect, run_cases
from tree import KTHREAD, RUNNING, Tree

TOP = sys.argv[1]
QEMU = "qemu-system-x86_64"


def run(tree, *args, **options):
    """Exit status, output, errors."""
    done = subprocess.run([TOP, "--root", tree.root, "-d", "0.1", *args],
                          text=True, capture_output=True, check=False,
                          timeout=60, **options)
    return done.returncode, done.stdout, done.stderr


def devices(tree, *args):
    status, text, said = run(tree, "--json", *args)
    expect((0, ""), (status, said))
    return json.loads(text)["devices"]


def seen_by_others(tree):
    """Devices as they are to another user, with a program that he may run."""
    os.chmod(tree.root, 0o755)
    done = subprocess.run([shutil.copy(TOP, tree.root), "--root", tree.root, "-d",
                           "0.1", "--json"], user=65534, text=True,
                          capture_output=True, check=False)
    expect((0, ""), (done.returncode, done.stderr))
    return json.loads(done.stdout)["devices"]


def guest(tree, pid, name, **rx):
    """One QEMU with a device of ours, its worker and its tap."""
    ring = {**RUNNING, "ifname": f"tap{pid}", "worker": pid + 1, "frames": 1000}
    tree.process(pid, QEMU, "-name", f"guest={name}")
    tree.thread(pid, pid + 1, f"vhost-{pid}", 5 * 10 ** 9, 10 ** 9, cpu=3)
    tree.node(pid, 20, {**ring, **rx}, ring, features="mrg_rxbuf version_1 ")
    tree.interfaces(pid, **{f"tap{pid}": range(16)})


# -- what is found ------------------------------------------------------------

@case
def ours_ok(tree):
    guest(tree, 100, "web")
    tree.process(300, "sleep", name="sleep")
    tree.descriptor(300, 3, "/dev/null")
    device, = devices(tree)
    expect(("web", 100, 20, "vhx", "/dev/vhost-net", "idle"), tuple(
        device[key] for key in ("vm", "pid", "fd", "kind", "node", "verdict")))
    expect(["mrg_rxbuf", "version_1"], device["features"])
    expect((101, "vhost-100", 3), tuple(device["rx"]["worker"][key]
                                        for key in ("tid", "name", "cpu")))
    expect(9, device["interface"]["to_guest_frames"])
    expect(1000, device["tx"]["counters"]["frames"])


@case
def own_node_of_any_name_ok(tree):
    tree.write("sys/module/vhx_net/parameters/node", "fast-net\n")
    tree.process(100, QEMU)
    tree.descriptor(100, 7, "/dev/fast-net", "vhx-owner:\t100")
    tree.descriptor(100, 8, "/dev/fast-network", "vhx-owner:\t100")
    tree.descriptor(100, 9, "/srv/root/dev/vhost-net (deleted)")
    expect([(7, "vhx"), (9, "in-tree")],
           [(device["fd"], device["kind"]) for device in devices(tree)])


@case
def in_tree_by_order_ok(tree):
    """Two queue pairs of one tap, one of another; kthreads out of order."""
    tree.process(100, QEMU, "-name", "old")
    for i, tap in enumerate(("tap0", "tap0", "tap1")):
        tree.descriptor(100, 20 + 2 * i, "/dev/net/tun", f"iff:\t{tap}")
        tree.descriptor(100, 21 + 2 * i, "/dev/vhost-net")
    for tid in (503, 501, 502):
        tree.thread(tid, tid, "vhost-100", flags=KTHREAD)
    tree.thread(504, 504, "vhost-999", flags=KTHREAD)
    tree.interfaces(100, tap0=range(16), tap1=range(16))
    found = devices(tree)
    expect([("tap0", 0, 501), ("tap0", 1, 502), ("tap1", 0, 503)],
           [(device["rx"]["ifname"], device["rx"]["queue"],
             device["rx"]["worker"]["tid"]) for device in found])
    # the interface's frames are shown once
    expect([0, None, 0], [device["rx"]["frames_per_s"] for device in found])


@case
def in_tree_beside_ours_ok(tree):
    tree.process(100, QEMU)
    tree.node(100, 20, {**RUNNING, "worker": 101}, {**RUNNING, "worker": 102})
    tree.descriptor(100, 21, "/dev/vhost-net")
    for tid in (101, 102, 103):
        tree.thread(100, tid, "vhost-100")
    expect([101, 103], [device["rx"]["worker"]["tid"] for device in devices(tree)])


@case
def in_tree_without_order_unknown(tree):
    """More workers than devices: whose is whose is not known."""
    tree.process(100, QEMU)
    tree.descriptor(100, 21, "/dev/vhost-net")
    for tid in (101, 102):
        tree.thread(100, tid, "vhost-100")
    device, = devices(tree)
    expect((None, "unknown"), (device["rx"]["worker"], device["verdict"]))


@case
def inherited_descriptor_is_one_device(tree):
    guest(tree, 100, "web")
    tree.process(150, "helper")
    tree.descriptor(150, 20, "/dev/vhost-net", "vhx-owner:\t100")
    expect([100], [device["pid"] for device in devices(tree)])


@case
def other_users_process_is_hidden(tree):
    """To a reader that is not root; its worker is to be seen."""
    guest(tree, 100, "web")
    guest(tree, 200, "db")
    os.chmod(f"{tree.root}/proc/100/fd", 0o700)
    found = seen_by_others(tree)
    expect([("web", "hidden", 101), ("db", "vhx", 201)],
           [(device["vm"], device["kind"], device["rx"]["worker"]["tid"])
            for device in found])


@case
def fdinfo_of_others_is_hidden(tree):
    guest(tree, 100, "web")
    os.chmod(f"{tree.root}/proc/100/fdinfo/20", 0)
    device, = seen_by_others(tree)
    expect(("hidden", "/dev/vhost-net", "unknown"),
           (device["kind"], device["node"], device["verdict"]))


@case
def files_named_as_a_node_are_none(tree):
    """Of any user: a file in memory, one with that path, a node that is not open."""
    folder = f"{tree.root}/dev"
    os.mkdir(folder)
    files = [os.memfd_create("x/dev/vhost-net"),
             os.open(f"{folder}/vhost-net", os.O_CREAT | os.O_RDWR)]
    os.unlink(f"{folder}/vhost-net")
    try:
        os.mknod(f"{folder}/vhost-net", stat.S_IFCHR | 0o600, os.makedev(10, 238))
        files.append(os.open(f"{folder}/vhost-net", os.O_PATH))
        os.unlink(f"{folder}/vhost-net")
        os.mknod(f"{folder}/vhost-net", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        files.append(os.open(f"{folder}/vhost-net", os.O_RDWR))
    except PermissionError as why:
        raise Skip(f"nodes: {why}") from why
    finally:
        done = subprocess.run([TOP, "-d", "0.1", "--json"], text=True, check=False,
                              capture_output=True, timeout=60)
        for file in files:
            os.close(file)
    expect(0, done.returncode)
    expect([], [device for device in json.loads(done.stdout)["devices"]
                if device["pid"] == os.getpid()])


# -- bad input ----------------------------------------------------------------

@case
def nobody_ok(tree):
    expect([], devices(tree))
    status, text, said = run(tree, "--once")
    expect((0, 1, ""), (status, len(text.splitlines()), said))


@case
def no_proc_error(tree):
    status, _, said = run(Tree(tree.root + "/none"), "--once")
    expect(0, status)
    shutil.rmtree(tree.root + "/none/proc")
    status, _, said = run(tree_at(tree.root + "/none"), "--once")
    expect((1, "vhx-top: No such file or directory\n"), (status, said))


def tree_at(root):
    """A folder as it is."""
    tree = Tree.__new__(Tree)
    tree.root = root
    return tree


@case
def no_schedstat_said_once(tree):
    guest(tree, 100, "web")
    guest(tree, 200, "db")
    os.unlink(f"{tree.root}/proc/self/schedstat")
    for pid in (101, 201):
        os.unlink(f"{tree.root}/proc/{pid}/task/{pid}/schedstat")
    status, text, said = run(tree, "--json")
    expect((0, 1), (status, len(said.splitlines())))
    expect(False, json.loads(text)["schedstat"])
    worker = json.loads(text)["devices"][0]["rx"]["worker"]
    expect((5 * 10 ** 9, None, None, 0),
           (worker["run_ns"], worker["wait_ns"], worker["wait_share"],
            worker["cpu_share"]))


@case
def half_of_a_process_ok(tree):
    """It ends while it is read: any of its files may be gone."""
    for pid in range(100, 800, 100):
        guest(tree, pid, f"vm{pid}")
    root = tree.root
    os.unlink(f"{root}/proc/100/task/100/stat")
    tree.remove("proc/200/fd")
    os.unlink(f"{root}/proc/300/fdinfo/20")
    os.unlink(f"{root}/proc/400/cmdline")
    os.unlink(f"{root}/proc/500/net/dev")
    tree.remove("proc/601")
    tree.write("proc/700/task/700/stat", "700 (cut")
    found = {device["pid"]: device for device in devices(tree)}
    expect([400, 500, 600], sorted(found))
    expect("qemu-system-x86", found[400]["vm"])
    expect(None, found[500]["interface"])
    expect(None, found[600]["rx"]["worker"])


@case
def names_are_quoted_ok(tree):
    name = 'a"b\\c\x1b[2Jäö'
    guest(tree, 100, name)
    device, = devices(tree)
    expect(name.replace("\x1b", "?"), device["vm"])
    _, text, _ = run(tree, "--prometheus")
    if 'vm="a\\"b\\\\c?[2Jäö"' not in text:
        raise Failed(text.splitlines()[2])


def labels(text):
    """Values of vm in Prometheus' text, as they were before they were quoted."""
    found = set()
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        quoted = re.fullmatch(r'\w+\{((\w+="(?:[^"\\\n]|\\[\\"n])*",?)*)\} \S+'
                              r'|\w+ \S+', line)
        if not quoted:
            raise Failed(f"no line of Prometheus: {line!r}")
        if 'vm="' in line:
            found.add(re.search(r'vm="((?:[^"\\]|\\.)*)"', line)[1])
    return found


@case
def names_are_clean_utf8(tree):
    """Cut between letters, without what is none and what moves a cursor."""
    for name, want in (("é" * 40, "é" * 31),
                       (b"a\xff\xfe\x80b", "a???b"), ("x\x1b]0;y\x07", "x?]0;y?"),
                       ("a\nb", "a?b"), ("c\u009b1m", "c?1m"),
                       (b"\xed\xa0\x80\xc0\xafz\xe2\x82", "?????z??"),
                       ("\U0001f600" * 20, "\U0001f600" * 15)):
        if isinstance(name, bytes):
            name = os.fsdecode(name)
        guest(tree, 100, name)
        device, = devices(tree)
        expect(want, device["vm"])
        _, text, _ = run(tree, "--prometheus")
        expect({want}, labels(text))


@case
def many_descriptors_are_cut(tree):
    """Of one process; what others have is shown, and soon."""
    tree.process(100, QEMU)
    tree.descriptor(100, 9999, "/dev/vhost-net", "vhx-owner:\t100", "iff:\ttap0")
    for i in range(4000):
        os.symlink("/dev/vhost-net" if i % 2 else "/dev/net/tun",
                   f"{tree.root}/proc/100/fd/{10000 + i}")
        os.link(f"{tree.root}/proc/100/fdinfo/9999",
                f"{tree.root}/proc/100/fdinfo/{10000 + i}")
    guest(tree, 200, "web")
    since = time.monotonic()
    status, text, said = run(tree, "--json")
    if time.monotonic() - since > 5:
        raise Failed(f"{time.monotonic() - since} s")
    found = [device["pid"] for device in json.loads(text)["devices"]]
    expect((0, 1, 1024, 1), (status, len(said.splitlines()), found.count(100),
                             found.count(200)))


@case
def options_64(tree):
    for args in (["--nonsense"], ["--once", "more"], ["-d", "0"], ["-d", "x"],
                 ["-d", "nan"], ["-d", "1e9"], ["--json", "--prometheus"], ["--sort", "colour"], []):
        status, text, said = run(tree, *args)
        if status != 64 or text or not said:
            raise Failed(f"{args}: {status}: {said}")
    with open("/dev/null") as nothing:
        expect(64, run(tree, stdin=nothing)[0])
    expect(0, run(tree, "--help")[0])
    expect(0, run(tree, "--version")[0])


@case
def full_disk_error(tree):
    with open("/dev/full", "w") as full:
        done = subprocess.run([TOP, "--root", tree.root, "-d", "0.1", "--json"],
                              stdout=full, stderr=subprocess.PIPE, check=False)
    expect(1, done.returncode)


# -- lists --------------------------------------------------------------------

@case
def sorted_and_filtered_ok(tree):
    for pid, name in ((100, "web"), (200, "db"), (300, "mail")):
        guest(tree, pid, name)

    def names(*args):
        return [line.split()[0] for line in
                run(tree, "--once", *args)[1].splitlines()[1:]]

    expect(["web", "db", "mail"], names())
    expect(["db", "mail", "web"], names("--sort", "vm"))
    expect(["web", "mail", "db"], names("-s", "VM", "-r"))
    expect(["db"], names("--filter", "tap200"))
    expect(["mail"], names("-f", "MAI"))
    expect([], names("-f", "nobody"))
    expect(["db"], [device["vm"] for device in devices(tree, "-f", "db")])
    expect({"db"}, labels(run(tree, "--prometheus", "-f", "db")[1]))


@case
def prometheus_names_ok(tree):
    guest(tree, 100, "web", stop_loop=2, pickup_1024=5, burst_1=7, burst_64=1,
          frames=71)
    tree.process(200, QEMU)
    tree.descriptor(200, 21, "/dev/vhost-net")
    status, text, _ = run(tree, "--prometheus")
    expect(0, status)
    for line in ('vhx_ring_frames_total{vm="web",pid="100",fd="20",ring="rx",'
                 'interface="tap100",queue="0"} 71',
                 'vhx_worker_cpu_seconds_total{vm="web",pid="100",fd="20",'
                 'tid="101"} 5.000000000',
                 'vhx_device_verdict{vm="web",pid="100",fd="20",'
                 'verdict="idle"} 1'):
        if line not in text.splitlines():
            raise Failed(f"no {line}")
    tool = os.environ.get("PROMTOOL", shutil.which("promtool") or "").split()
    if not tool:
        raise Skip("no promtool (prometheus)")
    done = subprocess.run([*tool, "check", "metrics"], input=text, text=True,
                          capture_output=True, check=False)
    expect((0, "", ""), (done.returncode, done.stdout, done.stderr))


# -- a terminal ---------------------------------------------------------------

class Terminal:
    """vhx-top in a window of a tmux of its own."""

    def __init__(self, tree, *args, width=80, height=24, env=()):
        if not shutil.which("tmux"):
            raise Skip("no tmux")
        # a server that has just ended may still have its socket
        self.tmux = ["tmux", "-S", f"{tree.root}/tmux{time.monotonic()}", "-f",
                     "/dev/null"]
        words = ["env", "TERM=screen-256color", "LC_ALL=C.UTF-8", *env, TOP,
                 "--root", tree.root, *args]
        self.call("new-session", "-d", "-x", str(width), "-y", str(height),
                  " ".join(words) + "; echo status $?; sleep 100")

    def call(self, *words):
        return subprocess.run([*self.tmux, *words], check=True, text=True,
                              capture_output=True, timeout=30).stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call("kill-server")

    def keys(self, *keys):
        self.call("send-keys", *keys)

    def text(self, *options):
        return self.call("capture-pane", "-p", *options)

    def wait(self, *words, absent=()):
        """The screen, once it has these words and not those."""
        for _ in range(100):
            text = self.text()
            if all(word in text for word in words) and \
                    not any(word in text for word in absent):
                return text
            time.sleep(.1)
        raise Failed(f"no {words}, or {absent}:\n{text}")


def three_guests(tree):
    guest(tree, 100, "web", burst_1=7, burst_4=30, pickup_1024=5)
    guest(tree, 200, "db", state="failed", cause="descriptor loop")
    guest(tree, 300, "mail")


@case
def list_in_80_columns_ok(tree):
    three_guests(tree)
    with Terminal(tree) as term:
        text = term.wait("web", "db", "mail", "idle", "broken",
                         "3 devices, 1 broken")
    lines = text.splitlines()
    if max(map(len, lines)) > 80 or "VERDICT" not in lines[2]:
        raise Failed(text)


@case
def resizes_ok(tree):
    three_guests(tree)
    with Terminal(tree, width=200) as term:
        term.wait("descriptor loop", "RXBURST")
        term.call("resize-window", "-x", "50", "-y", "6")
        term.wait("web", "db", absent=["VERDICT"])
        term.call("resize-window", "-x", "80", "-y", "24")
        term.wait("VERDICT", "mail", absent=["RXBURST"])
        term.call("resize-window", "-x", "1", "-y", "1")
        term.call("resize-window", "-x", "80", "-y", "24")
        term.wait("VERDICT", "mail")


@case
def keys_ok(tree):
    three_guests(tree)
    with Terminal(tree) as term:
        term.wait("sorted by PID", "mail")
        term.keys("S")
        text = term.wait("sorted by VM")
        expect(["db", "mail", "web"], [line.split()[0] for line in
                                       text.splitlines()[3:6]])
        term.keys("r")
        term.wait("reversed")
        term.keys("/")
        term.keys("mai", "BSpace", "i", "Enter")
        term.wait("filter: mai", "mail", absent=["web", "db"])
        term.keys("Escape")
        term.wait("web", "db", absent=["filter:"])
        term.keys("h")
        term.wait("starved", "guest-limited", absent=["VERDICT"])
        term.keys("Escape")
        term.wait("VERDICT")
        term.keys("Space")
        term.wait("paused")
        term.keys("q")
        term.wait("status 0")


@case
def one_device_ok(tree):
    three_guests(tree)
    with Terminal(tree, height=60) as term:
        term.wait("web")
        term.keys("Enter")
        term.wait("web, pid 100", "mrg_rxbuf version_1", "101 on CPU 3",
                  "bursts by frames", "4-7", "################", "pickup",
                  absent=["publish:"])
        term.keys("Escape", "Down", "Enter")
        term.wait("db, pid 200", "rx: descriptor loop")
        tree.remove("proc/200")
        term.wait("It has ended.")
        term.keys("Escape")
        term.wait("web", "mail", absent=["db"])


@case
def follows_the_device_ok(tree):
    """What was chosen stays chosen while others come and go."""
    three_guests(tree)
    with Terminal(tree, "-d", "0.2") as term:
        term.wait("mail")
        term.keys("Down", "Down")
        tree.remove("proc/100")
        term.wait("mail", absent=["web"])
        term.keys("Enter")
        term.wait("mail, pid 300")


@case
def colour_on_a_terminal_alone_ok(tree):
    three_guests(tree)
    if "\x1b" in run(tree, "--once")[1]:
        raise Failed("colours in a file")
    with Terminal(tree) as term:
        term.wait("broken")
        time.sleep(1)
        if "\x1b[31m" not in term.text("-e"):
            raise Failed("no red: " + repr(term.text("-e")))
    with Terminal(tree, env=["NO_COLOR=1"]) as term:
        term.wait("broken")
        if "\x1b[31m" in term.text("-e"):
            raise Failed("red with NO_COLOR")


@case
def ends_with_its_terminal_ok(tree):
    """Though nobody tells it: SIGHUP is ignored."""
    guest(tree, 100, "web")
    master, slave = os.openpty()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with subprocess.Popen([TOP, "--root", tree.root], stdin=slave, stdout=slave,
                          env={**os.environ, "TERM": "vt100"}) as program:
        signal.signal(signal.SIGHUP, before)
        os.close(slave)
        os.read(master, 100)
        os.close(master)
        try:
            expect(0, program.wait(15))
        finally:
            program.kill()


@case
def unknown_terminal_error(tree):
    with Terminal(tree, env=["TERM=nonsense"]) as term:
        term.wait("is not known", "status 1")


if __name__ == "__main__":
    sys.exit(run_cases("top.tree", Tree, sys.argv[2:]))
