#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""vhx-pin with workers of both modules, of both kinds: KTAP on stdout.

usage: pin_test.py FOLDER      of vhx-pin and pin_client

Runs in L1, as root. Names are pin.<module>-<kind>.<behaviour>.
"""
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../vm"))
import host  # noqa: E402

CGROUPS = "/sys/fs/cgroup"
NODE = "/dev/vhost-net"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
PR_SET_NAME = 15
WAIT = 20
CASES = []


class Wrong(Exception):
    """What vhx-pin did is not what it should do."""


def case(func):
    CASES.append(func)
    return func


def expect(wanted, got, what=""):
    if wanted != got:
        raise Wrong(f"{what}: {got!r}, not {wanted!r}")


def expect_in(part, text):
    if part not in text:
        raise Wrong(f"{text!r} lacks {part!r}")


def until(is_so, what, secs=WAIT):
    deadline = time.monotonic() + secs
    while not is_so():
        if time.monotonic() > deadline:
            raise Wrong(what)
        time.sleep(0.05)


def read(path):
    with open(path) as file:
        return file.read()


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


# -- what a test works with ---------------------------------------------------

class Client:
    """An owner of devices, and its workers."""

    def __init__(self, rig, *taps, name="vm1", user=0):
        self.taps = taps
        self.proc = subprocess.Popen(
            [rig.client, ",".join(taps), rig.kind, "-name",
             f"guest={name},debug-threads=on"],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            # root's rights stay: they are of the effective one
            preexec_fn=lambda: os.setresuid(user, 0, 0),
            env={**os.environ, "VHX_MODULE": rig.module})

    def __enter__(self):
        self.answer()
        return self

    def answer(self):
        expect("ok", self.proc.stdout.readline().strip(), "frames")

    def works(self):
        self.proc.stdin.write("\n")
        self.proc.stdin.flush()
        self.answer()

    @property
    def workers(self):
        found = sorted(map(int, host.workers(self.proc.pid)))
        expect(len(self.taps), len(found), "workers")
        return found

    @property
    def worker(self):
        return self.workers[0]

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def __exit__(self, *exc):
        self.proc.stdin.close()
        self.proc.wait(WAIT)


class Rig:
    """Programs, and which module and kind of worker there is."""

    def __init__(self, folder, module, kind, name=None):
        self.program = f"{folder}/vhx-pin"
        self.client = f"{folder}/pin_client"
        self.module, self.kind = module, kind
        self.name = f"{name or module}-{kind}"
        self.dir = tempfile.mkdtemp(prefix="vhx-pin-")
        os.chmod(self.dir, 0o755)
        self.rules_path = f"{self.dir}/placement.conf"

    def pin(self, *argv, status=0, user=()):
        """Status as wanted. Return: what it said, errors too."""
        done = subprocess.run([*user, self.program, *argv], text=True,
                              stdout=subprocess.PIPE, timeout=WAIT,
                              stderr=subprocess.STDOUT, check=False)
        expect(status, done.returncode, done.stdout)
        return done.stdout

    def rules(self, text):
        write(self.rules_path, text)
        return ("--rules", self.rules_path)

    @contextlib.contextmanager
    def watch(self, text):
        """While it watches; gives the process, and what it said so far."""
        log = f"{self.dir}/watch.log"
        with open(log, "w") as out, subprocess.Popen(
                [self.program, "--watch", *self.rules(text)],
                stderr=out) as proc:
            try:
                yield proc, lambda: read(log)
            finally:
                proc.terminate()
            expect(0, proc.wait(WAIT), "status at SIGTERM")

    def line(self, tid, *argv):
        """That of a worker in the list, by column; or None."""
        lines = self.pin("--list", *argv).splitlines()
        for words in map(str.split, lines[1:]):
            found = dict(zip(lines[0].split(), words))
            if found["TID"] == str(tid):
                return found
        return None


def cpus(tid):
    return re.search(r"^Cpus_allowed_list:\s*(.*)$", read(f"/proc/{tid}/status"),
                     re.M)[1]


def nice(tid):
    return os.getpriority(os.PRIO_PROCESS, tid)


def group(tid):
    return re.search(r"^0::(.*)$", read(f"/proc/{tid}/cgroup"), re.M)[1]


@contextlib.contextmanager
def new_group(name):
    """A group below the root; who is in it when it ends goes to the root."""
    path = f"{CGROUPS}/{name}"
    os.mkdir(path)
    try:
        yield path
    finally:
        folders = [folder for folder, *_ in os.walk(path, topdown=False)]
        for folder in folders:
            for pid in set(read(f"{folder}/cgroup.threads").split()):
                with contextlib.suppress(OSError):
                    write(f"{CGROUPS}/cgroup.procs", pid)
            until(lambda folder=folder: removed(folder), f"{folder} stays")


def removed(folder):
    with contextlib.suppress(OSError):
        os.rmdir(folder)
    return not os.path.exists(folder)


# -- now ----------------------------------------------------------------------

@case
def list_says_where_workers_are_ok(rig):
    with Client(rig, "tapa", name="web,,1") as client:
        found = rig.line(client.worker)
        wanted = {"VM": "web,1", "TAP": "tapa", "RING": "rx,tx", "USER": "root",
                  "PID": str(client.proc.pid), "KIND": rig.kind,
                  "CPUS": "0-1", "CLASS": "nice:0", "RULE": "-", "CGROUP": "/"}
        expect(wanted, {key: found[key] for key in wanted})
        expect(None, rig.line(client.worker, "--vm", "other"))
        rules = rig.rules("# none\n\ntap=tapa cpus=1\n")
        expect("3", rig.line(client.worker, *rules)["RULE"])


@case
def user_now_ok(rig):
    """Whose the VM is, whatever it calls itself."""
    with Client(rig, "tapa", user=1) as client, Client(rig, "tapb") as other, \
            Client(rig, "tapc", user=123456) as unnamed:
        rig.pin("--user", "daemon", "--cpus", "1")
        rig.pin("--user", "123456", "--cpus", "0")
        expect(("1", "0-1", "0"), tuple(cpus(each.worker) for each in
                                        (client, other, unnamed)))
        expect(("daemon", "123456"), (rig.line(client.worker)["USER"],
                                      rig.line(unnamed.worker)["USER"]))
        expect(None, rig.line(client.worker, "--user", "root"))
        expect_in("no such worker", rig.pin("--user", "daemon", "--tap", "tapb",
                                            "--other", status=1))


@case
def cpus_now_ok(rig):
    with Client(rig, "tapa") as client, Client(rig, "tapb") as other:
        rig.pin("--tap", "tapa", "--cpus", "1")
        expect(("1", "0-1"), (cpus(client.worker), cpus(other.worker)))
        client.works()
        rig.pin("--tap", "tapa", "--cpus", "0-1")
        expect("0-1", cpus(client.worker))


@case
def class_now_ok(rig):
    with Client(rig, "tapa") as client:
        tid = client.worker
        rig.pin("--vm", "vm?", "--nice=-5")
        expect((os.SCHED_OTHER, -5), (os.sched_getscheduler(tid), nice(tid)))
        rig.pin("--vm", "vm1", "--fifo", "7", "--ring", "rx")
        expect((os.SCHED_FIFO, 7), (os.sched_getscheduler(tid),
                                    os.sched_getparam(tid).sched_priority))
        expect("fifo:7", rig.line(tid)["CLASS"])
        client.works()
        rig.pin("--vm", "vm1", "--other")
        expect((os.SCHED_OTHER, -5), (os.sched_getscheduler(tid), nice(tid)))


@case
def cgroup_below_the_owner_is_made_ok(rig):
    with new_group("pin-vm") as path, Client(rig, "tapa") as client:
        tid = client.worker
        write(f"{path}/cgroup.procs", str(client.proc.pid))
        rig.pin("--vm", "vm1", "--cgroup", "workers", "--cpus", "0")
        expect("/pin-vm/workers", group(tid))
        expect("/pin-vm", group(client.proc.pid))
        expect("0", cpus(tid))
        client.works()
        # a second time it is no other one
        rig.pin("--vm", "vm1", "--cgroup", "workers")
        expect("/pin-vm/workers", group(tid))


@case
def cgroup_out_of_the_hierarchy_error(rig):
    with Client(rig, "tapa") as client:
        write(f"{CGROUPS}/cgroup.procs", str(client.proc.pid))
        out = f"pin-out-{client.proc.pid}"
        for name in (f"../{out}", f"../../../tmp/{out}", ".."):
            expect_in("leads out", rig.pin("--vm", "vm1", "--cgroup", name,
                                           status=1))
        expect([False, False], [os.path.exists(f"{folder}/{out}")
                                for folder in ("/sys/fs", "/tmp")])
        expect("/", group(client.worker))


@case
def cgroup_beside_the_owner_as_with_libvirt_ok(rig):
    with new_group("pin-vm") as path, Client(rig, "tapa") as client:
        os.mkdir(f"{path}/emulator")
        write(f"{path}/emulator/cgroup.type", "threaded")
        write(f"{path}/cgroup.procs", str(client.proc.pid))
        tids = os.listdir(f"/proc/{client.proc.pid}/task")
        for tid in {*tids, str(client.worker)}:
            write(f"{path}/emulator/cgroup.threads" if tid in tids else
                  f"{path}/emulator/cgroup.procs", tid)
        rig.pin("--vm", "vm1", "--cgroup", "../vhx")
        expect("/pin-vm/vhx", group(client.worker))
        client.works()


@case
def cgroup_elsewhere_is_for_kthreads_ok(rig):
    with new_group("pin-vm") as path, new_group("pin-other"), \
            Client(rig, "tapa") as client:
        write(f"{path}/cgroup.procs", str(client.proc.pid))
        argv = ("--vm", "vm1", "--cgroup", "/pin-other")
        if rig.kind == "kthread":
            rig.pin(*argv)
            expect("/pin-other", group(client.worker))
            client.works()
        else:
            expect_in("a task is a thread of its VM", rig.pin(*argv, status=1))
            expect("/pin-vm", group(client.worker))
        expect("/pin-vm", group(client.proc.pid))


@case
def cgroup_that_is_not_there_fail(rig):
    with Client(rig, "tapa"):
        for path, text in (("/nowhere", "is not there: make it first"),
                           ("no/where", "that it is to be made in")):
            expect_in(text, rig.pin("--vm", "vm1", "--cgroup", path, status=1))


@case
def cpus_outside_of_the_cpuset_fail(rig):
    write(f"{CGROUPS}/cgroup.subtree_control", "+cpuset")
    with new_group("pin-vm") as path, Client(rig, "tapa") as client:
        write(f"{path}/cpuset.cpus", "0")
        for pid in {client.proc.pid, client.worker}:
            with contextlib.suppress(OSError):      # a thread of the first
                write(f"{path}/cgroup.procs", str(pid))
        for wanted in ("1", "0-1"):
            said = rig.pin("--vm", "vm1", "--cpus", wanted, status=1)
            expect_in("its control group leaves it 0: see cpuset.cpus of /pin-vm",
                      said)
        expect("0", cpus(client.worker))
    write(f"{CGROUPS}/cgroup.subtree_control", "-cpuset")


@case
def cpus_that_are_not_there_fail(rig):
    with Client(rig, "tapa"):
        for wanted in ("99", "0-99"):
            expect_in("this machine has 0-1",
                      rig.pin("--vm", "vm1", "--cpus", wanted, status=1))


@case
def one_of_several_taps_ok(rig):
    """In-tree does not say whose a worker is: no guess is made."""
    with Client(rig, "tapa", "tapb") as client:
        if rig.module != host.IN_TREE:
            expect({"tapa", "tapb"},
                   {rig.line(tid)["TAP"] for tid in client.workers})
            rig.pin("--tap", "tapb", "--cpus", "1")
            expect(["0-1", "1"], sorted(map(cpus, client.workers)))
        else:
            expect_in("is not known", rig.pin("--tap", "tapb", "--cpus", "1",
                                              status=1))
            expect(["0-1", "0-1"], [cpus(tid) for tid in client.workers])
        rig.pin("--tap", "tap[ab]", "--cpus", "0")
        expect(["0", "0"], [cpus(tid) for tid in client.workers])


@case
def no_such_worker_fail(rig):
    with Client(rig, "tapa"):
        expect_in("no such worker", rig.pin("--vm", "nix", "--other", status=1))
        rig.pin("--tap", "tap", "--other", status=1)


@case
def thread_of_a_like_name_is_left_alone_ok(rig):
    """Its owner gives names; only the kernel makes workers."""
    code = (f"import ctypes, os, sys; os.open('{NODE}', os.O_RDWR); "
            f"ctypes.CDLL(None).prctl({PR_SET_NAME}, b'vhost-%d' % os.getpid());"
            "print(flush=True); sys.stdin.read()")
    with subprocess.Popen(["/usr/bin/python3", "-c", code, "-name", "evil"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as proc:
        proc.stdout.readline()
        expect(f"vhost-{proc.pid}\n", read(f"/proc/{proc.pid}/comm"))
        rig.pin("--vm", "evil", "--fifo", "9", status=1)
        expect(os.SCHED_OTHER, os.sched_getscheduler(proc.pid))
        proc.stdin.close()


@case
def no_root_is_told_what_to_do_fail(rig):
    with Client(rig, "tapa") as client:
        for argv in (("--cpus", "1"), ("--fifo", "1"), ("--nice=-1",)):
            said = rig.pin("--vm", "*", *argv, status=1, user=NOBODY)
            expect_in("run it as root, or give it CAP_SYS_NICE", said)
        said = rig.pin("--cgroup", "/", status=1, user=NOBODY)
        expect_in("run it as root", said)
        expect(("0-1", 0), (cpus(client.worker), nice(client.worker)))


@case
def command_line_that_makes_no_sense_usage(rig):
    for argv, text in (((), "nothing to do"), (("--cpus", "x"), "--cpus=x: a list"),
                       (("--fifo=1", "--nice=1"), "--nice=1: not beside fifo"),
                       (("--list", "--watch"), "one of"),
                       (("--apply", "--vm", "a"), "do not go with"),
                       (("--watch", "--user", "root"), "do not go with"),
                       (("--user", "nix", "--other"), "--user=nix: no such user"),
                       (("--list", "--cpus=1"), "do not go with")):
        expect_in(text, rig.pin(*argv, status=64))


# -- by rules -----------------------------------------------------------------

@case
def rules_applied_once_ok(rig):
    rules = rig.rules("vm=db tap=tapa user=0 cpus=0 nice=-3\nuser=daemon cpus=1\n")
    with Client(rig, "tapa", name="db") as client, \
            Client(rig, "tapb", name="db", user=1) as other:
        expect("", rig.pin("--apply", *rules))
        expect(("0", -3), (cpus(client.worker), nice(client.worker)))
        expect(("1", 0), (cpus(other.worker), nice(other.worker)))


@case
def bad_rules_are_named_fail(rig):
    rules = rig.rules("tap=a cpus=1\ntap=b cpus=z\n")
    with Client(rig, "tapa"):
        for action in ("--apply", "--watch", "--list"):
            expect_in(f"{rules[1]}:2: cpus=z: a list of CPUs",
                      rig.pin(action, *rules, status=78))
    expect_in("No such file", rig.pin("--apply", "--rules", "/nix", status=1))


@case
def rule_at_start_ok(rig):
    with rig.watch("vm=db cpus=1 fifo=4 cgroup=w\n") as (_, log), \
            new_group("pin-vm") as path:
        with Client(rig, "tapa", name="db") as client, \
                Client(rig, "tapb") as other:
            tid = client.worker
            until(lambda: cpus(tid) == "1" and
                  os.sched_getscheduler(tid) == os.SCHED_FIFO, "not placed")
            client.works()
            expect("0-1", cpus(other.worker))
            # once: what is done by hand later stays
            rig.pin("--vm", "db", "--cpus", "0")
            time.sleep(3)
            expect("0", cpus(tid))
            expect("/w", group(tid))
            write(f"{CGROUPS}/cgroup.procs", str(tid))
        expect("", log())
        removed(f"{CGROUPS}/w")
        expect(True, os.path.isdir(path))


@case
def rules_read_again_ok(rig):
    with rig.watch("vm=db cpus=1\n") as (proc, log), \
            Client(rig, "tapa", name="db") as client:
        until(lambda: cpus(client.worker) == "1", "not placed")
        rig.rules("vm=db cpus=0\nvm=db cpus=\n")
        proc.send_signal(signal.SIGHUP)
        until(lambda: "the rules stay as they were" in log(), "not said")
        expect_in(f"{rig.rules_path}:2: cpus=:", log())
        expect("1", cpus(client.worker))
        rig.rules("vm=db cpus=0\n")
        proc.send_signal(signal.SIGHUP)
        until(lambda: cpus(client.worker) == "0", "not placed anew")


@case
def rule_that_cannot_be_is_told_once_fail(rig):
    with rig.watch("vm=db cpus=99 nice=-2\n") as (_, log), \
            Client(rig, "tapa", name="db") as client:
        until(lambda: "this machine has 0-1" in log(), "not said")
        # what can be is
        expect(-2, nice(client.worker))
        time.sleep(3)
        expect(1, log().count("\n"))
        expect_in(f"{rig.rules_path}:1: VM db, worker {client.worker}: cpus 99",
                  log())


@case
def more_than_it_looks_at_is_told_once_ok(rig):
    """Of one process it looks at 1024 nodes."""
    code = (f"import os, sys; [os.open('{NODE}', os.O_RDWR) for _ in range(1025)];"
            "print(flush=True); sys.stdin.read()")
    text = "more than 1024 descriptors or workers"
    with rig.watch("cpus=1\n") as (_, log):
        for times in (1, 2):
            with subprocess.Popen(
                    ["prlimit", "--nofile=2048:2048", "/usr/bin/python3", "-c", code],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE) as proc:
                proc.stdout.readline()
                until(lambda: log().count(text) == times, f"not told: {log()}")
                time.sleep(2)
                expect(times, log().count("\n"))
                proc.stdin.close()
            # told again when it was not so in between
            time.sleep(2)


@case
def vm_that_ends_meanwhile_ok(rig):
    rules = rig.rules("cpus=1 nice=-1 cgroup=w\n")
    with rig.watch("cpus=1 nice=-1 cgroup=w\n") as (proc, log):
        for i in range(20):
            # a killed owner's tap is busy for a while
            client = Client(rig, f"tap{i}")
            if i % 2:
                with client:
                    pass
            else:
                time.sleep(0.03 * i)
                client.kill()
            expect("", rig.pin("--apply", *rules))
        expect((None, ""), (proc.poll(), log()))
    removed(f"{CGROUPS}/w")


def ring_with_a_worker_of_its_own_ok(rig):
    """With workers=2."""
    with Client(rig, "tapa"):
        lines = rig.pin("--list").splitlines()
        found = [dict(zip(lines[0].split(), line.split())) for line in lines[1:]]
        tids = {line["RING"]: int(line["TID"]) for line in found}
        expect({"rx", "tx"}, set(tids))
        rig.pin("--tap", "tapa", "--ring", "tx", "--cpus", "1")
        expect(("0-1", "1"), (cpus(tids["rx"]), cpus(tids["tx"])))


# -- all ----------------------------------------------------------------------

def run_case(func, rig, number, *args):
    began, verdict = time.monotonic(), "ok"
    try:
        func(rig, *args)
    except Exception as err:    # a case's failure is its verdict
        verdict = "not ok"
        for line in f"{type(err).__name__}: {err}".splitlines():
            print(f"# {line}")
    print(f"# {time.monotonic() - began:.1f} s")
    print(f"{verdict} {number} pin.{rig.name}.{func.__name__}",
          flush=True)
    return verdict == "ok"


def kinds():
    """Which kinds of workers this kernel has; in-tree alike."""
    has_tasks = " vhost_task_create" in read("/proc/kallsyms")
    return ["task", "kthread"] if has_tasks else ["kthread"]


def runs(folder):
    """Each module that is loaded in turn: its parameters, a rig, its cases."""
    for kind in kinds():
        yield (), Rig(folder, "vhx_net", kind), CASES
    yield ("workers=2",), Rig(folder, "vhx_net", kinds()[0]), \
        [ring_with_a_worker_of_its_own_ok]
    for kind in kinds():
        yield (), Rig(folder, host.IN_TREE, kind), CASES


def main(folder, *only):
    host.no_ipv6()
    print("KTAP version 1")
    number = failed = 0
    for params, rig, cases in runs(folder):
        host.load(rig.module, NODE, *params)
        for func in cases:
            if not only or func.__name__ in only:
                number += 1
                failed += not run_case(func, rig, number)
        host.unload(rig.module)
    print(f"1..{number}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
