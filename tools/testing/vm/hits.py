# SPDX-License-Identifier: GPL-2.0-only
"""How often kernel functions ran, by one ftrace instance a function.

Debian's kernels lack the function profiler; an instance that traces a single
function counts its calls as ring buffer entries, kept and overrun, and needs
no kprobe.
"""
import glob
import os

TRACEFS = "/sys/kernel/tracing"

# What a packet's kick and call run through.  KVM: the ioeventfd's MMIO write
# and the irqfd's wake function.  TCG: QEMU writes the kick's eventfd itself
# (and its own notifiers: an upper bound), the kernel signals the call's.
KICKS = {"kvm": ("ioeventfd_write",), "tcg": ("eventfd_write",)}
CALLS = {"kvm": ("irqfd_wakeup",),
         "tcg": ("eventfd_signal_mask", "eventfd_signal")}


def put(path, text):
    with open(path, "w") as file:
        file.write(text)


class Hits:
    """Context: counts[name] is there after it, None if untraceable."""

    def __init__(self, *functions):
        self.functions = functions
        self.paths = {}
        self.counts = {}

    def __enter__(self):
        for name in self.functions:
            path = f"{TRACEFS}/instances/vhx-{name}"
            os.makedirs(path, exist_ok=True)
            try:
                put(f"{path}/set_ftrace_filter", name)
                put(f"{path}/buffer_size_kb", "16")
                put(f"{path}/current_tracer", "function")
                self.paths[name] = path
            except OSError:
                os.rmdir(path)
                self.counts[name] = None
        return self

    def read(self):
        """The counts so far; after the end they stay."""
        for name, path in self.paths.items():
            total = 0
            for stats in glob.glob(f"{path}/per_cpu/cpu*/stats"):
                with open(stats) as file:
                    fields = dict(line.split(":")[:2] for line in file)
                total += int(fields["entries"]) + int(fields["overrun"])
            self.counts[name] = total

    def __exit__(self, *exc):
        for path in self.paths.values():
            put(f"{path}/tracing_on", "0")
        self.read()
        for path in self.paths.values():
            put(f"{path}/current_tracer", "nop")
            os.rmdir(path)
        self.paths.clear()


class Path:
    """Kicks and calls of guests under one accelerator."""

    def __init__(self, accel):
        self.accel = accel
        self.hits = Hits(*KICKS[accel], *CALLS[accel])
        self.kicks = self.calls = 0

    def __enter__(self):
        self.hits.__enter__()
        return self

    def read(self):
        """Kicks and calls so far."""
        self.hits.read()
        return self.first(KICKS[self.accel]), self.first(CALLS[self.accel])

    def __exit__(self, *exc):
        self.hits.__exit__()
        self.kicks, self.calls = self.read()

    def first(self, names):
        found = [self.hits.counts[n] for n in names
                 if self.hits.counts.get(n) is not None]
        return found[0] if found else None
