# SPDX-License-Identifier: GPL-2.0-only
"""A folder as /proc and /sys would be, for vhx-top --root."""
import os
import shutil

STAT = "{tid} ({name}) {state} 1 1 1 0 -1 {flags} 0 0 0 0 {ticks} 0 0 0 20 0 1 0 " \
    "{start} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 {cpu} 0 0 0 0 0\n"
KTHREAD = 0x00200000
HEAD = "Inter-| Receive | Transmit\n face |bytes packets errs drop\n"
RUNNING = {"state": "running", "format": "split", "size": 256, "backend": "tap",
           "queue": 0}


class Tree:
    """The folder; what is put there twice is replaced."""

    def __init__(self, root):
        self.root = root
        self.write("proc/self/schedstat", "1000 2000 3\n")

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", errors="surrogateescape") as file:
            file.write(text)
        os.rename(path + ".new", path)

    def link(self, path, target):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.islink(path):
            os.symlink(target, path)

    def remove(self, path):
        shutil.rmtree(os.path.join(self.root, path))

    def thread(self, pid, tid, name, run_ns=0, wait_ns=0, **fields):
        """Of a process; with that pid and as a folder of its own, as /proc has."""
        fields = {"state": "S", "flags": 0, "start": 100 + tid, "cpu": 0,
                  "ticks": run_ns // 10 ** 7, **fields}
        for folder in {f"proc/{pid}/task/{tid}", f"proc/{tid}/task/{tid}"}:
            self.write(f"{folder}/stat", STAT.format(tid=tid, name=name, **fields))
            self.write(f"{folder}/schedstat", f"{run_ns} {wait_ns} 1\n")

    def process(self, pid, *cmdline, name="qemu-system-x86"):
        self.thread(pid, pid, name)
        self.write(f"proc/{pid}/cmdline", "".join(word + "\0" for word in cmdline))
        os.makedirs(f"{self.root}/proc/{pid}/fd", exist_ok=True)
        self.link(f"proc/{pid}/ns/net", "net:[4026531840]")

    def descriptor(self, pid, fd, target, *lines):
        self.link(f"proc/{pid}/fd/{fd}", target)
        self.write(f"proc/{pid}/fdinfo/{fd}", "pos:\t0\nflags:\t02\n" +
                   "".join(line + "\n" for line in lines))

    def node(self, pid, fd, rx, tx, **device):
        """A device of ours; values by their keys."""
        lines = [f"vhx-{key}:\t{val}" for key, val in
                 {"owner": pid, **device}.items()]
        for name, ring in (("rx", rx), ("tx", tx)):
            lines += [f"vhx-{name}-{key}:\t{val}" for key, val in ring.items()]
        self.descriptor(pid, fd, "/dev/vhost-net", *lines)

    def interfaces(self, pid, **columns):
        """/proc/PID/net/dev: of each 16 columns."""
        self.write(f"proc/{pid}/net/dev", HEAD + "".join(
            f"{name:>6}: {' '.join(map(str, values))}\n"
            for name, values in columns.items()))
