#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""vhx-switch as a service: what it tells its manager and its log. KTAP on stdout.

usage: unshare -m service.py SWITCH

Runs on the machine itself, as root, with a /run of its own.
"""
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../vm"))
from bench import Suite  # noqa: E402

WAIT = 10


class Wrong(Exception):
    """What the switch did is not what it should do."""


def expect(wanted, got, what=""):
    if wanted != got:
        raise Wrong(f"{what}: {got!r}, not {wanted!r}")


def until(is_so, what):
    deadline = time.monotonic() + WAIT
    while not is_so():
        if time.monotonic() > deadline:
            raise Wrong(what)
        time.sleep(0.05)


class Manager:
    """A service manager: the socket that it listens on."""

    def __init__(self, name):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(name.replace("@", "\0", 1))
        self.sock.settimeout(WAIT)

    def hears(self):
        return self.sock.recv(4096).decode().split("\n")

    def has_more(self):
        self.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            return self.sock.recv(4096).decode()
        return ""


class Service:
    """A switch that runs as one."""

    def __init__(self, program):
        self.program, self.dir = program, tempfile.mkdtemp(prefix="vhx-service-")
        self.log, self.procs = os.path.join(self.dir, "log"), []

    def path(self, name):
        return os.path.join(self.dir, name)

    def port(self, name):
        return f"vhost-user,path={self.path(name)}"

    def start(self, *argv, env=(), ctl=None):
        with open(self.log, "wb") as log:
            env = {**dict(env), **({"JOURNAL_STREAM": self.stream(log)}
                                   if "JOURNAL_STREAM" in dict(env) else {})}
            self.procs.append(subprocess.Popen(
                [self.program, "--ctl", ctl or self.path("ctl"), *argv],
                stdout=subprocess.DEVNULL, stderr=log, env={**os.environ, **env}))
        return self.procs[-1]

    def alone(self, case):
        """A case; nothing of it is left if it fails."""
        try:
            case()
        finally:
            for proc in self.procs:
                proc.kill()
                proc.wait()
            self.procs = []

    @staticmethod
    def stream(file):
        found = os.fstat(file.fileno())
        return f"{found.st_dev}:{found.st_ino}"

    def said(self):
        with open(self.log) as file:
            return file.read()

    def ask(self, *words, ctl=None):
        return subprocess.run(
            [self.program, *(["--ctl", ctl] if ctl else []), "ctl", *words],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=WAIT, check=False)

    def end(self, proc, status=0):
        proc.send_signal(signal.SIGTERM)
        expect(status, proc.wait(WAIT), "status at SIGTERM")

    def ready(self, name):
        """Told when all ports are there, and what changes then."""
        manager = Manager(name)
        proc = self.start("--port", self.port("a"), "--port", self.port("b"),
                          env={"NOTIFY_SOCKET": name})
        try:
            expect(["READY=1", "STATUS=2 ports"], manager.hears())
            with socket.socket(socket.AF_UNIX) as guest:
                guest.connect(self.path("b"))
            for words, status in ((("del", "a"), "STATUS=1 port"),
                                  (("del", "b"), "STATUS=0 ports"),
                                  (("add", self.port("a")), "STATUS=1 port")):
                expect(0, self.ask(*words, ctl=self.path("ctl")).returncode, words)
                expect([status], manager.hears(), words)
            self.ask("del", "no-such-port", ctl=self.path("ctl"))
        finally:
            proc.send_signal(signal.SIGTERM)
        expect(["STOPPING=1", "STATUS="], manager.hears())
        expect(0, proc.wait(WAIT), "status at SIGTERM")
        expect("", manager.has_more())
        for left in ("a", "ctl"):
            expect(False, os.path.exists(self.path(left)), left)

    def ready_by_path(self):
        self.ready(self.path("notify"))

    def ready_by_name(self):
        self.ready(f"@vhx-service-{os.getpid()}")

    def not_ready(self):
        """One that cannot start says why, and not that it is ready."""
        manager = Manager(self.path("notify2"))
        proc = self.start("--port", self.port("a"), "--port", "foo",
                          env={"NOTIFY_SOCKET": self.path("notify2")})
        expect(1, proc.wait(WAIT), "status")
        expect("", manager.has_more())

    def no_manager(self):
        """It serves all the same."""
        for name in ("/no/such/socket", "vsock:2:1", "", "@", "/" + "x" * 200):
            proc = self.start("--port", self.port("a"), env={"NOTIFY_SOCKET": name})
            self.until_it_answers()
            self.end(proc)

    def until_it_answers(self, ctl=None):
        until(lambda: self.ask("help", ctl=ctl or self.path("ctl")).returncode == 0,
              "no answer")

    def deaf_manager(self):
        """Its queue is full: clients of the control socket are answered."""
        manager = Manager(self.path("notify3"))
        proc = self.start(env={"NOTIFY_SOCKET": self.path("notify3")})
        expect(["READY=1", "STATUS=0 ports"], manager.hears())
        with open("/proc/sys/net/unix/max_dgram_qlen") as file:
            room = int(file.read())
        for _ in range(room + 5):
            for words in (("add", self.port("a")), ("del", "a")):
                expect(0, self.ask(*words, ctl=self.path("ctl")).returncode, words)
        self.end(proc)

    def journal(self):
        """There a line has its level; elsewhere the program's name."""
        for env, begin in (({"JOURNAL_STREAM": ""}, "<3>"), ({}, "vhx-switch: ")):
            proc = self.start("--port", "foo", env=env)
            expect(1, proc.wait(WAIT), "status")
            if not self.said().startswith(f"{begin}--port foo: "):
                raise Wrong(self.said())
        # as of a parent's stderr that was redirected
        with open(self.log, "wb") as log:
            subprocess.run([self.program, "--port", "foo"], stderr=log, check=False,
                           env={**os.environ, "JOURNAL_STREAM": "1:1"})
        if not self.said().startswith("vhx-switch: "):
            raise Wrong(self.said())

    def who_is_asked(self):
        """Without --ctl: that of the command line, else that of the unit."""
        done = self.ask("show", "ports")
        expect(1, done.returncode, "nobody is there")
        if "/run/vhx-switch.ctl: " not in done.stdout:
            raise Wrong(done.stdout)
        os.mkdir("/run/vhx-switch")
        unit = self.start("--port", self.port("a"), ctl="/run/vhx-switch/ctl")
        self.until_it_answers("/run/vhx-switch/ctl")
        self.asks_of("a")
        other = self.start("--port", self.port("b"), ctl="/run/vhx-switch.ctl")
        self.until_it_answers("/run/vhx-switch.ctl")
        self.asks_of("b")
        done = self.ask("show", "ports", ctl="/run/none")
        expect(1, done.returncode, "--ctl is obeyed")
        other.kill()
        other.wait()
        # its socket is left
        self.asks_of("a")
        self.end(unit)

    def asks_of(self, port):
        said = self.ask("show", "ports").stdout
        expect([port], [line.split()[0] for line in said.splitlines()[1:]], said)


def main():
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    service = Service(os.path.abspath(sys.argv[1]))
    suite = Suite("switch.service", None)
    print("KTAP version 1", flush=True)
    for name, case in (
            ("ready_by_path_ok", service.ready_by_path),
            ("ready_by_name_ok", service.ready_by_name),
            ("not_ready_after_error_ok", service.not_ready),
            ("without_manager_ok", service.no_manager),
            ("deaf_manager_ok", service.deaf_manager),
            ("levels_for_journal_ok", service.journal),
            ("who_is_asked_ok", service.who_is_asked)):
        suite.case(name, service.alone, case)
    return not suite.end()


if __name__ == "__main__":
    sys.exit(main())
