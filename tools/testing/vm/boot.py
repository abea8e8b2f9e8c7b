# SPDX-License-Identifier: GPL-2.0-only
"""One command in one machine, and the verdict on it."""
import contextlib
import dataclasses
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time

import apt
import images
import kernels
import plugin
import roots
import tsc
from cache import CACHE, TOP, VMDIR, read, say, word, write

# What a run exits with when it is not the command's own status (README.rst)
E_STILL, E_KLOG, E_TIMEOUT, E_DIED = 122, 123, 124, 125
# The QEMU that boots machines (README.rst): a root of roots.py
EMULATOR = "qemu-11.1"
# QEMU's, after l1-init wrote 0x10 to the port of isa-debug-exit; where the kernel
# has no /dev/port it switches off, and there no panic after the status is noticed
LEFT, OFF = 33, 0
# In place of QEMU's status: the time was up, or l1-init has not been heard for so
# many seconds, which watches its CPUs itself as long as one of them runs
LATE, STILL = None, -1000
STILL_SECS = 300

CPU = ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"]
# Counting instructions: no real time gets in.  A REP counts once a repetition;
# without erms and fsrm copies repeat 8-byte moves, not bytes. That Linux before 6.5
# does so of processors whose REP is good, as of all that hosts have: of family 15,
# while "max" of newer QEMUs is of family 6, of 1999.
COUNTING_CPU = ["-accel", "tcg,tb-size=512", "-icount", "shift=0,sleep=off",
                "-rtc", "clock=vm",
                "-cpu", "max,family=15,model=107,stepping=1,-rdrand,-rdseed,"
                "-svm,-erms,-fsrm"]
# There CPUs take turns, and each ends at the next of QEMU's timers: with this one,
# which does nothing else, after a microsecond at the latest. It makes all so slow
# that it starts with the command only.
TURNS = (b"netdev_add hubport,id=turns,hubid=0\n"
         b"object_add filter-buffer,id=timer,netdev=turns,interval=1\n")
# ELF kernel and command line: no option ROM, no decompressor, no timer
# calibration under emulation
WORDS = ("loglevel=5 log_buf_len=4M panic=-1 oops=panic "
         "mitigations=off nokaslr random.trust_cpu=on audit=0")
RESULTS = ("status", "dmesg.txt", "stdout.txt", "console.txt", "verdict",
           "retried", "console-died.txt", "registers.txt", ".alive", ".timeout")


@dataclasses.dataclass
class Job:
    """What to run, and where: see vm's usage."""
    kernel: kernels.Kernel
    command: list
    out: str
    mem: str
    cpus: str = "2"
    secs: float = 600               # with the kernel's factor in it
    is_counting: bool = False
    words: str = ""                 # more of them for the command line
    plugin: str = ""                # FILE[,NAME=VALUE]...: of QEMU's
    env: dict = dataclasses.field(default_factory=dict)
    system: str = ""                # the root to boot, by its own systemd

    def put(self):
        """Environment and command, for l1-init on the other side."""
        folder = f"{self.out}/.job"
        shutil.rmtree(folder, ignore_errors=True)
        for name in RESULTS:
            with contextlib.suppress(FileNotFoundError):
                os.remove(f"{self.out}/{name}")
        os.makedirs(folder)
        env = self.env | {"VHX_OUT": "/out", "VHX_CACHE": CACHE, "VHX_TOP": TOP,
                          "VHX_TURNS": str(int(self.takes_turns()))}
        write(f"{folder}/env", "".join(f"export {name}={shlex.quote(value)}\n"
                                       for name, value in env.items()))
        write(f"{folder}/cmd", f"exec {shlex.join(self.command)}\n")

    def has_begun(self):
        return os.path.exists(f"{self.out}/.job/begun")

    def takes_turns(self):
        """Whether its command waits for TURNS."""
        return self.is_counting and self.cpus != "1"


def faults(path):
    """Lines of a kernel log that name a fault; the one list is klog.patterns."""
    patterns = [line for line in read(VMDIR, "klog.patterns").decode().splitlines()
                if line and line[0] != "#"]
    found = re.compile("|".join(patterns))
    return [line for line in read(path).decode(errors="replace").splitlines()
            if found.search(line)]


def shares(job):
    """QEMU's options for both folders that the machine sees."""
    if job.kernel.is_cloud:
        options = ["-object", f"memory-backend-memfd,id=mem,share=on,size={job.mem}",
                   "-machine", "memory-backend=mem"]
        for tag in ("root", "out"):
            options += ["-chardev", f"socket,id={tag},path={job.out}/.{tag}.sock",
                        "-device", f"vhost-user-fs-pci,chardev={tag},tag={tag}"]
        return options
    device = f"virtio-9p-{job.kernel.arch.virtio}"
    return [
        "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,"
        "multidevs=remap",
        "-device", f"{device},fsdev=root,mount_tag=root",
        "-fsdev", f"local,id=out,path={job.out},security_model=none,"
        "multidevs=remap",
        "-device", f"{device},fsdev=out,mount_tag=out"]


@contextlib.contextmanager
def virtiofsd(job):
    """A daemon for each share, which ends with QEMU. It cannot be told that the
    root is for reading: the machine mounts it so."""
    daemons = []
    try:
        for tag, path in (("root", "/"), ("out", job.out)):
            at = f"{job.out}/.{tag}.sock"
            with contextlib.suppress(FileNotFoundError):
                os.remove(at)
            daemons.append(subprocess.Popen(
                ["/usr/lib/qemu/virtiofsd", "-f", "-o", f"source={path}", "-o",
                 "sandbox=chroot,log_level=err,cache=" +
                 ("always" if tag == "root" else "none"),
                 f"--socket-path={at}"], stdout=sys.stderr))
            for _ in range(100):
                if os.path.exists(at):
                    break
                time.sleep(0.1)
        yield
    finally:
        for daemon in daemons:
            daemon.terminate()
            daemon.wait()


def machine(job):
    """QEMU, and its options for the kind of machine."""
    own = os.environ.get("VHX_QEMU", "").split()
    arch = job.kernel.arch
    if arch.is_foreign:
        return [*(own or [arch.qemu]), "-M", arch.machine, "-cpu", arch.cpu,
                "-accel", "tcg,thread=multi,tb-size=512"]
    return [*(own or roots.qemu(plugin.EMULATOR if job.plugin else EMULATOR)),
            *(["-plugin", job.plugin] if job.plugin else []),
            "-M", "q35,hpet=off", *(COUNTING_CPU if job.is_counting else CPU),
            "-vga", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]


def words(job, folder):
    """The kernel's command line."""
    kernel = job.kernel
    yield f"console={kernel.arch.console}"
    yield WORDS
    yield kernel.arch.words
    if not kernel.arch.is_foreign:
        yield "nowatchdog" if job.is_counting else f"tsc_early_khz={tsc.khz()}"
    yield kernel.words
    yield f"vhx.init={VMDIR}/l1-init"
    yield f"vhx.modules={folder}/lib/modules"
    root = job.system
    if kernel.arch.is_foreign:
        root = roots.program_root(kernel.arch.name)
    if root:
        yield f"vhx.system={root} vhx.shown={TOP}:{CACHE}"
    if job.system:
        # emulated, what takes a minute and a half is not yet stuck
        yield ("systemd.wants=vhx-job.service systemd.show_status=no "
               "systemd.default_timeout_start_sec=900 "
               "systemd.mask=serial-getty@ttyS0.service")
    yield job.words


def qemu(job, folder, initrd, stream, monitor):
    bus = job.kernel.arch.virtio
    return [
        *machine(job), "-name", "vhx-l1",
        "-smp", job.cpus, "-m", job.mem, "-display", "none", "-nodefaults",
        "-no-reboot", "-serial", f"file:{job.out}/console.txt",
        *shares(job), "-device", f"virtio-serial-{bus}",
        "-chardev", f"file,id=stream,path=/dev/fd/{stream}",
        "-device", "virtserialport,chardev=stream,name=vhx.stream",
        "-chardev", f"socket,id=monitor,fd={monitor}", "-monitor", "chardev:monitor",
        "-object", "rng-random,id=rng,filename=/dev/urandom",
        "-device", f"virtio-rng-{bus},rng=rng",
        *os.environ.get("VHX_QEMU_ARGS", "").split(),
        "-kernel", f"{folder}/vmlinux", "-initrd", initrd, "-append",
        " ".join(words(job, folder))]


def copy_stream(stream, path):
    """What the command prints: to our output and a file, until QEMU is gone."""
    with open(stream, "rb", buffering=0) as source, \
            open(path, "wb", buffering=0) as file:
        is_read = True
        while data := source.read(65536):
            file.write(data)
            try:
                if is_read:
                    os.write(sys.stdout.fileno(), data)
            except BrokenPipeError:
                is_read = False


def is_still(job):
    """Whether it was heard once, and is not any more."""
    with contextlib.suppress(FileNotFoundError):
        return time.time() - os.path.getmtime(f"{job.out}/.alive") > STILL_SECS
    return False


def keep_registers(job, monitor):
    """Where each CPU is, as QEMU's monitor says, if that answers."""
    monitor.settimeout(10)
    with open(f"{job.out}/registers.txt", "wb") as file, \
            contextlib.suppress(OSError):
        monitor.sendall(b"info registers -a\nquit\n")
        while data := monitor.recv(65536):
            file.write(data)


def wait_for_end(job, proc, monitor):
    """QEMU's status, LATE or STILL."""
    end = time.monotonic() + job.secs
    is_waited_for = job.takes_turns()
    while time.monotonic() < end:
        if is_waited_for and job.has_begun():
            monitor.sendall(TURNS)
            write(f"{job.out}/.job/turns", "")
            is_waited_for = False
        with contextlib.suppress(subprocess.TimeoutExpired):
            return proc.wait(max(0, min(0.5 if is_waited_for else 10,
                                        end - time.monotonic())))
        if is_still(job):
            keep_registers(job, monitor)
            return STILL
    return LATE


def boot(job, folder, initrd):
    """From QEMU's start to its end: its status, LATE or STILL."""
    ours, stream = os.pipe()
    monitor, theirs = socket.socketpair()
    reader = threading.Thread(target=copy_stream,
                              args=(ours, f"{job.out}/stdout.txt"))
    reader.start()
    try:
        with subprocess.Popen(qemu(job, folder, initrd, stream, theirs.fileno()),
                              stdin=subprocess.DEVNULL, stdout=sys.stderr,
                              pass_fds=[stream, theirs.fileno()]) as proc:
            os.close(stream)
            stream = None
            left = LATE
            try:
                left = wait_for_end(job, proc, monitor)
                return left
            finally:
                # what stands still may be QEMU itself
                (proc.kill if left == STILL else proc.terminate)()
    finally:
        if stream is not None:
            os.close(stream)
        monitor.close()
        theirs.close()
        reader.join()


def has_text(path):
    return os.path.exists(path) and os.path.getsize(path) > 0


def judge(job, left):
    """Verdict and exit status."""
    if left == LATE:
        return "timeout", E_TIMEOUT
    if left == STILL:
        return "stood still", E_STILL
    wanted = LEFT if job.kernel.has_exit else OFF
    if left != wanted or not has_text(f"{job.out}/status"):
        return "died", E_DIED
    if not has_text(f"{job.out}/dmesg.txt"):
        return "no kernel log", E_KLOG
    found = faults(f"{job.out}/dmesg.txt")
    if found:
        print(*found, sep="\n", file=sys.stderr)
        return "fault in the kernel log (above)", E_KLOG
    status = int(word(job.out, "status"))
    return f"command failed: {status}" if status else "ok", status


def run_once(job, folder, initrd):
    with virtiofsd(job) if job.kernel.is_cloud else contextlib.nullcontext():
        left = boot(job, folder, initrd)
    verdict, status = judge(job, left)
    console = f"{job.out}/console.txt"
    if verdict in ("timeout", "died", "stood still") and has_text(console):
        lines = read(console).decode(errors="replace").splitlines()
        print(*(faults(console) or lines[-15:]), sep="\n", file=sys.stderr)
    write(f"{job.out}/verdict", verdict + "\n")
    if status:
        say(f"run: {verdict}; see {job.out}")
    return status


def run(job):
    """Under TCG with several CPUs a kernel that patches itself dies now and then
    in "Oops: int3", also before it has a user: one more boot then, and a word
    of it, also to who reads the results."""
    job.put()
    if job.kernel.arch.is_foreign:
        apt.install(apt.NEEDED_BY_FOREIGN)
    folder, initrd = kernels.fetched(job.kernel), images.l1_initramfs(job.kernel)
    status = run_once(job, folder, initrd)
    if status == E_DIED and not job.has_begun():
        text = f"{job.kernel.name} died before the command began: one retry"
        say(f"run: {text}")
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{job.out}/console.txt", f"{job.out}/console-died.txt")
        write(f"{job.out}/retried", text + "\n")
        status = run_once(job, folder, initrd)
    return status
