# SPDX-License-Identifier: GPL-2.0-only
"""What each stage of the check does. One runs in a process of its own: its KTAP
goes to stdout, its talk to stderr."""
import contextlib
import hashlib
import importlib
import os
import re
import shutil
import subprocess
import sys

import ktap

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
CACHE = os.environ.get("VHX_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "vhx")
# results and programs of this checkout: another one may check at the same time
OUT = os.path.join(CACHE, "check", os.path.basename(TOP) + "-" +
                   hashlib.sha256(TOP.encode()).hexdigest()[:8])
VM = os.path.join(HERE, "vm/vm")
SELFTESTS = os.path.join(HERE, "selftests/vhost")
# where the stages are: a subject of its own has a file of its own
FILES = ("stages", "stages_clients", "stages_install", "stages_deb",
         "stages_rights", "stages_project")
GUEST = "6.12"          # the kernel of guests
STILL = 122             # of `vm run`: the machine stood still
WARNINGS = "CFLAGS=-O2 -g -Werror"
JOBS = f"-j{os.cpu_count()}"
# Other architectures: what makes their programs, and which of the selftests run
# on them, where a second takes three
COMPILERS = {arch: f"{triplet}-linux-gnu-gcc-14"
             for arch, triplet in (("arm64", "aarch64"), ("s390x", "s390x"))}
PORTABLE = ("ioctl_test", "rx_test", "tx_test", "packed_test", "rings_test")
PROBES = {
    "6.1": "TUN_XDP_HDR",
    "6.12": "EVENTFD_SIGNAL_ONE TUN_XDP_HDR VHOST_TASK",
    "7.2": "EVENTFD_SIGNAL_ONE UDP_TUNNEL VHOST_TASK",
    "7.3": "EVENTFD_SIGNAL_ONE TUN_WAKE_QUEUE UDP_TUNNEL VHOST_TASK",
}


# -- what the stages share ----------------------------------------------------

def call(*argv, **options):
    """Whether a command succeeded; all that it says is talk."""
    sys.stdout.flush()
    return subprocess.run(argv, stdout=sys.stderr, check=False,
                          **options).returncode == 0


def said(*argv):
    """What a command printed; CalledProcessError if it failed."""
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


def case(name, is_ok):
    print("ok" if is_ok else "not ok", name, flush=True)


def show(path, prefix):
    """A stream that a machine left, its results named with a prefix."""
    with contextlib.suppress(FileNotFoundError), \
            open(path, errors="replace") as lines:
        for line in lines:
            sys.stdout.write(ktap.prefixed(line, prefix))
    sys.stdout.flush()


def vm_run_once(argv, rename):
    if not rename:
        return subprocess.run(argv, stdout=sys.stderr, check=False).returncode
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True,
                          errors="replace") as proc:
        for line in proc.stdout:
            print(rename(line), end="", flush=True)
    return proc.returncode


def vm_run(where, *args, rename=None):
    """`vm run`, results in a folder of that name. With rename its stream is
    shown, a line at a time as that returns it. A machine that stood still is
    run again, once: what it showed is taken back, what is known of it is kept.
    Return: did it end well, and the folder."""
    out = os.path.join(OUT, where)
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(out + "-still", ignore_errors=True)
    argv = [VM, "run", "-o", out, *args]
    sys.stdout.flush()
    shown = os.lseek(1, 0, os.SEEK_CUR) if os.path.isfile("/dev/stdout") else None
    status = vm_run_once(argv, rename)
    if status == STILL:
        print(f"{where}: one retry: see {out}-still", file=sys.stderr)
        os.rename(out, out + "-still")
        if shown is not None:
            os.ftruncate(1, shown)
            os.lseek(1, shown, os.SEEK_SET)
        status = vm_run_once(argv, rename)
    return status == 0, out


def is_log_clean(out):
    """A run whose tests ran to their end, failed or not, and whose kernel log
    is clean."""
    try:
        with open(f"{out}/verdict") as file:
            verdict = file.read().strip()
        with open(f"{out}/stdout.txt", errors="replace") as file:
            text = file.read()
    except FileNotFoundError:
        return False
    return verdict in ("ok", "command failed: 1") and \
        not re.search(r"^Bail out!", text, re.M) and \
        bool(re.search(r"^1\.\.[0-9]", text, re.M))


def is_whole(path):
    """A stream that has as many results as it says."""
    with contextlib.suppress(FileNotFoundError), \
            open(path, errors="replace") as file:
        plan = re.search(r"^1\.\.(\d+)$", file.read(), re.M)
        return bool(plan) and int(plan[1]) == ktap.count(path).all
    return False


def digest(*paths, skip=r"^$", more=""):
    """Of the files of the checkout below some paths."""
    names = said("git", "ls-files", "-co", "--exclude-standard", "--",
                 *paths).splitlines()
    total = hashlib.sha256(more.encode())
    for name in sorted(names):
        if os.path.exists(name) and not re.search(skip, name):
            with open(name, "rb") as file:
                total.update(name.encode() + file.read())
    return total.hexdigest()[:16]


def built_in(name, *paths):
    """The folder of what is built from some paths, empty if they changed."""
    home = os.path.join(OUT, "built")
    path = os.path.join(home, f"{name}-{digest(*paths)}")
    os.makedirs(path, exist_ok=True)
    for other in os.listdir(home):
        if re.fullmatch(re.escape(name) + "-[0-9a-f]{16}", other) and \
                os.path.join(home, other) != path:
            shutil.rmtree(os.path.join(home, other))
    return path


# -- programs that stages need ------------------------------------------------

def build_selftests(arch=""):
    """For another architecture static: they run on a foreign root's libraries."""
    path = built_in(f"selftests-{arch}" if arch else "selftests",
                    "tools/testing/selftests")
    cross = ["LDFLAGS=-static", f"CC={COMPILERS[arch]}"] if arch else []
    if not call(*([VM, "in", "cross"] if arch else []), "make", "-s", JOBS, "-C",
                SELFTESTS, WARNINGS, f"OUTPUT={path}", *cross):
        sys.exit("the selftests do not build")
    return path


def build_bench():
    path = built_in("bench", "tools/testing/bench/*net*", "tools/testing/bench/*.h",
                    "tools/testing/bench/Makefile", "tools/testing/selftests")
    if not call("make", "-s", "-C", "tools/testing/bench", WARNINGS,
                f"OUTPUT={path}", "net_bench"):
        sys.exit("net_bench does not build")
    return path


def build_switch():
    path = built_in("switch", "tools/vhx-switch", "tools/lib",
                    "drivers/vhost/ring")
    if not call("make", "-s", JOBS, "-C", "tools/vhx-switch", WARNINGS,
                f"OUTPUT={path}"):
        sys.exit("vhx-switch does not build")
    return path


def build_pin():
    path = built_in("pin", "tools/vhx-top", "tools/testing/top",
                    "tools/testing/selftests")
    for make in (["-C", "tools/vhx-top", f"{path}/vhx-pin"],
                 ["-f", "tools/testing/top/pin.mk"]):
        if not call("make", "-s", JOBS, *make, WARNINGS, f"OUTPUT={path}"):
            sys.exit("vhx-pin or its tests do not build")
    return path


def build_cuse():
    path = built_in("cuse", "tools/lib", "tools/testing/cuse",
                    "tools/testing/lib", "tools/testing/selftests",
                    "drivers/vhost/ring")
    if not call("make", "-s", JOBS, "-C", "tools/testing/cuse", WARNINGS,
                f"OUTPUT={path}"):
        sys.exit("the programs for CUSE do not build")
    return path


def build_fuzz():
    path = built_in("fuzz", "tools/testing/fuzz", "tools/testing/selftests")
    if not call("make", "-s", "-C", "tools/testing/fuzz", WARNINGS,
                f"OUTPUT={path}"):
        sys.exit("the fuzzer does not build")
    return path


def build_top():
    path = built_in("top", "tools/vhx-top", "tools/testing/top",
                    "tools/testing/selftests")
    if not call("make", "-s", JOBS, "-C", "tools/testing/top", WARNINGS,
                f"OUTPUT={path}"):
        sys.exit("vhx-top does not build")
    return path


def build_rust(root):
    """Front-ends of the vhost crate of that root's suite, built in it; static, so
    that they run here."""
    path = built_in(root, "tools/testing/switch/rust-vmm")
    shutil.copytree(f"{HERE}/switch/rust-vmm", path, dirs_exist_ok=True)
    if not call("unshare", "-m", "tools/testing/switch/rust-build.sh",
                said(VM, "root", root), path):
        sys.exit("the front-ends do not build")
    return f"{path}/rust-vmm"


def stage_programs(name, *args):
    {"selftests": build_selftests, "switch": build_switch,
     "cuse": build_cuse, "fuzz": build_fuzz, "top": build_top,
     "pin": build_pin}[name](*args)


def stage_vm(*args):
    """A kernel, a module, an initramfs or a root that stages need."""
    if not call(VM, *args):
        sys.exit(1)


# -- stages without a machine -------------------------------------------------

def stage_style():
    os.execv("tools/testing/style.py", ["style.py"])


def ring_dir(name):
    return built_in(name, "tools/testing/ring", "tools/testing/selftests/*.h",
                    "drivers/vhost/ring", "tools/lib/vhx/ring_env.h")


def stage_engine(laps=""):
    os.execvp("make", ["make", "-s", "-C", "tools/testing/ring", "check",
                       f"OUTPUT={ring_dir('ring')}", *full(laps)])


def stage_engine32(kernel):
    """Not every machine's kernel runs programs of 32 bits; Debian's does."""
    if not call("gcc", "-m32", "-static", "-x", "c", "-", "-o", "/dev/null",
                input=b"int main(void) { return 0; }"):
        print("ok engine32.built # SKIP no gcc -m32 (gcc-multilib)")
        return
    path = ring_dir("ring32")
    if not call("make", "-s", JOBS, "-C", "tools/testing/ring", "m32",
                f"OUTPUT={path}"):
        sys.exit("the engine's tests do not build for 32 bits")
    is_ok, _ = vm_run("engine32", "-t", "900", kernel, "--",
                      "tools/testing/ring/m32.sh", path, rename=str)
    case(f"engine32.{kernel}.kernel_log_clean_ok", is_ok)


def stage_lib(laps=""):
    path = built_in("lib", "tools/testing/lib", "tools/testing/selftests",
                    "tools/lib", "drivers/vhost/ring")
    os.execvp("make", ["make", "-s", "-C", "tools/testing/lib", "check",
                       f"OUTPUT={path}", *full(laps)])


def stage_models():
    os.execv("tools/testing/models/check.py", ["check.py"])


def full(laps):
    return {"full": ["FULL=1"], "fast": ["FAST=1"]}.get(laps, [])


def stage_build(*kernels):
    for kernel in kernels:
        case(f"build.{kernel}.gcc_w1_no_warning_ok", call(VM, "build", kernel))
        case(f"build.{kernel}.probes_ok", are_probes_right(kernel))
    if "6.1" in kernels:
        case("build.6.1.clang_no_warning_ok", clang_check("6.1"))
        case("build.selftests.clang_no_warning_ok", call(
            "make", "-s", JOBS, "-C", SELFTESTS, "CC=clang", WARNINGS, "OUTPUT=" +
            built_in("clang-selftests", "tools/testing/selftests")))


def base(kernel):
    """6.1 of 6.1-rt."""
    return kernel.split("-")[0]


def arch_of(kernel):
    """arm64 of 6.1-arm64; empty where programs of this machine run."""
    arch = kernel.rsplit("-", 1)[-1]
    return arch if arch in COMPILERS else ""


def guest_of(kernel):
    """The kernel of its guests: of another architecture itself."""
    return kernel if arch_of(kernel) else GUEST


def build_dir(kernel):
    return os.path.dirname(said(VM, "build", kernel))


def clang_check(kernel):
    return call(f"{HERE}/clang-check", build_dir(kernel),
                cwd=said(VM, "fetch", kernel) + "/build")


def are_probes_right(kernel):
    """One that fails to compile for a reason of its own would go unnoticed."""
    with open(f"{build_dir(kernel)}/drivers/vhost/compat/vhx-config.h") as file:
        found = sorted(line.split()[1] for line in file)
    wanted = sorted("VHX_HAVE_" + name
                    for name in ["BASE", *PROBES[base(kernel)].split()])
    if found != wanted:
        print(f"probes of {kernel}: {found}, not {wanted}", file=sys.stderr)
    return found == wanted


def stage_features(scope="check"):
    """features.rst says what the stages before this one found."""
    case("features.page_ok", call(
        f"{HERE}/features.py", *["--partial"] * (scope == "check"), OUT))


# -- selftests ----------------------------------------------------------------

def in_tree_tap(kernel):
    """What in-tree gave to these programs on this kernel, wherever built."""
    with open(said(VM, "fetch", kernel) + "/packages") as file:
        key = digest("tools/testing/selftests", "tools/testing/vm/selftests.sh",
                     "tools/testing/vm/l1-init", skip=r"\.(txt|py)$",
                     more=file.read())
    return f"{CACHE}/in-tree/{kernel}-{key}.tap"


def keep(path, kept):
    """A copy for later runs, beside those of three other contents."""
    home = os.path.dirname(kept)
    os.makedirs(home, exist_ok=True)
    shutil.copy(path, f"{kept}.{os.getpid()}")
    os.rename(f"{kept}.{os.getpid()}", kept)
    kernel = os.path.basename(kept).rsplit("-", 1)[0]
    same = [os.path.join(home, name) for name in os.listdir(home)
            if re.fullmatch(re.escape(kernel) + r"-[0-9a-f]{16}\.tap", name)]
    for old in sorted(same, key=os.path.getmtime, reverse=True)[4:]:
        os.unlink(old)


def stage_selftests(kernel):
    """Both modules by the same programs; then what differs. Of a flavour
    in-tree is that of its kernel, if that is known. Another architecture runs
    some of the programs."""
    arch = arch_of(kernel)
    kept = in_tree_tap(kernel if arch else base(kernel))
    if not os.path.exists(kept):
        kept = in_tree_tap(kernel)
    os.environ.update(VHX_IN_TREE_TAP=kept, VHX_BENCH="" if arch else build_bench())
    is_ok, out = vm_run(f"selftests-{kernel}", "-b", "-t", "2100", kernel, "--",
                        "tools/testing/vm/selftests.sh", build_selftests(arch),
                        *(PORTABLE if arch else ()))
    case(f"selftests.{kernel}.kernel_log_clean_ok", is_ok)
    show(f"{out}/vhx_net.tap", f"{kernel}.vhx_net.")
    show(f"{out}/vhx_net-workers2.tap", f"{kernel}.vhx_net-workers2.")
    if not arch:
        show(f"{out}/here.tap", f"{kernel}.")
        case(f"selftests.{kernel}.bench_here_is_whole_ok",
             is_whole(f"{out}/here.tap"))
    is_listed = call(f"{SELFTESTS}/tap_diff.py", "-k", base(kernel),
                     *["--partial"] * bool(arch),
                     *["--other"] * (kernel != base(kernel) and not arch),
                     f"{out}/vhost_net.tap", f"{out}/vhx_net.tap")
    case(f"selftests.{kernel}.differences_to_in_tree_listed_ok", is_listed)
    if is_listed and not os.path.exists(kept):
        keep(f"{out}/vhost_net.tap", kept)


def stage_smoke(kernel="6.1"):
    is_ok, out = vm_run(f"smoke-{kernel}", "-b", "-t", "150", kernel, "--",
                        "tools/testing/vm/selftests.sh", build_selftests(),
                        "ioctl_test")
    case(f"smoke.{kernel}.kernel_log_clean_ok", is_ok)
    show(f"{out}/vhx_net.tap", f"{kernel}.vhx_net.")


def trace_root(kernel):
    """Of the suite whose kernel it is."""
    return "trace-bookworm" if base(kernel) == "6.1" else "trace-trixie"


def stage_trace(kernel):
    """Tracepoints by bpftrace, trace-cmd and perf of the kernel's suite."""
    is_ok, out = vm_run(f"trace-{kernel}", "-b", "-r", trace_root(kernel), "-t", "600",
                        kernel, "--", "tools/testing/vm/trace.py",
                        build_selftests(), trace_root(kernel),
                        rename=lambda line: re.sub(r"^((?:not )?ok [0-9]* )",
                                                   rf"\g<1>{kernel}.", line))
    case(f"trace.{kernel}.kernel_log_clean_ok", is_ok or is_log_clean(out))


# -- debug kernels ------------------------------------------------------------

def build_boom(kernel):
    """The module whose faults each watcher of a debug kernel has to report."""
    path = built_in(f"boom-{kernel}", "tools/testing/vm/boom")
    shutil.copytree(f"{HERE}/vm/boom", path, dirs_exist_ok=True)
    if not call("make", "-s", "-C", said(VM, "fetch", kernel) + "/build",
                f"M={path}", "CC=gcc-12", "modules"):
        sys.exit("boom.ko does not build")
    return f"{path}/boom.ko"


def stage_debug(kernel, what, module="vhx_net"):
    """boom, or programs of the selftests with commas between them."""
    if what == "boom":
        args = ["-x", "kasan_multi_shot", kernel, "--",
                "tools/testing/vm/debug.py", "boom", build_boom(kernel)]
    else:
        args = ["-b", "-t", "600", kernel, "--", "tools/testing/vm/debug.py",
                "selftests", "--module", module, build_selftests(),
                *what.split(",")]
    name = f"debug-{kernel}-{what.replace(',', '-')}"[:80]
    is_ok, out = vm_run(name, *args, rename=str)
    case(f"{kernel}.{what}.kernel_log_clean_ok", is_ok or is_log_clean(out))


def stage_fuzz(kernel, secs="120"):
    """By coverage where the kernel has kcov, else at random; each run begins
    with what those before it found."""
    args, corpus = ["-b"], f"{CACHE}/fuzz/corpus"
    if kernel == "debug":
        os.environ["VHX_KO"] = said(VM, "build", kernel, "KCOV_INSTRUMENT=y")
        args = ["-x", "kasan_multi_shot"]
    is_ok, out = vm_run(
        f"fuzz-{kernel}", *args, "-t", str(2 * int(secs) + 300), kernel, "--",
        "tools/testing/fuzz/run.py", build_fuzz() + "/fuzz", secs,
        *(["-c", corpus] if os.path.exists(corpus) else []),
        rename=str)
    case(f"{kernel}.fuzz.kernel_log_clean_ok", is_ok or is_log_clean(out))
    if is_ok and kernel == "debug":
        os.makedirs(os.path.dirname(corpus), exist_ok=True)
        shutil.copy(f"{out}/corpus", corpus + ".new")
        os.rename(corpus + ".new", corpus)


# -- guests -------------------------------------------------------------------

def stage_guests(kernel, accel, groups="", qemu="", migrations=""):
    """The roots that groups and a QEMU need are named like them. `-` is the
    machine's own QEMU."""
    qemu = qemu.strip("-")
    who = kernel + (f".qemu-{qemu}" if qemu else "")
    options = [word for root in roots(groups, qemu) for word in ("-r", root)]
    if accel == "tcg":
        # a guest under TCG in a machine under TCG starts from a snapshot
        options.append("-T")
    where = "-".join(filter(None, ["guests", kernel, accel,
                                   groups.replace(",", "-"), qemu]))
    _, out = vm_run(
        where, "-b", "-g", guest_of(kernel), *options, "-t", "1800", kernel, "--",
        "tools/testing/vm/guests.py", "--module", "vhx_net", "--accel", accel,
        *(["--groups", groups] if groups else []),
        *(["--top", build_top() + "/vhx-top"] if "top" in groups.split(",")
          else []),
        *(["--qemu", qemu] if qemu else []),
        *(["--migrations", migrations] if migrations else []),
        rename=lambda line: re.sub(r"^((?:not )?ok [0-9]* guest)",
                                   rf"\1.{who}", line))
    middle = groups.replace(",", "-") + "." if groups else ""
    case(f"guest.{who}.{accel}.{middle}kernel_log_clean_ok", is_log_clean(out))


def roots(groups, qemu):
    """Names of the roots that a stage of guests needs."""
    needs = {"ovs": "ovs", "testpmd": "dpdk"}
    return [needs[group] for group in groups.split(",") if group in needs] + \
        ([f"qemu-{qemu}"] if qemu.strip("-") else [])


def stage_cuse(kernel, switch=""):
    """libvhx-cuse serves a node, with the kernel's cuse and no module of ours;
    or vhx-switch serves several, beside our module."""
    guests = "tools/testing/vm/guests.py"
    if switch:
        cmd = f"{guests} --module vhx_net --variant switch " \
            f"--switch {build_switch()}/vhx-switch --groups switch"
    else:
        path = build_cuse()
        cmd = f"{path}/cuse_test; s=$?; {path}/data_test || s=1; {guests} " \
            f"--node /dev/vhx-cuse --variant cuse --cuse {path}/patch " \
            "--groups cuse,one-packed,legacy && exit $s"
    _, out = vm_run(
        "-".join(filter(None, ["cuse", kernel, switch])),
        "-b", "-g", GUEST, "-t", "1800", kernel, "--", "sh", "-c",
        f"modprobe -a cuse tun; {cmd}",
        rename=lambda line: re.sub(r"^((?:not )?ok [0-9]* )",
                                   rf"\g<1>{kernel}.", line))
    case(f"cuse.{kernel}.{switch + '.' if switch else ''}kernel_log_clean_ok",
         is_log_clean(out))


def stage_switch(kernel, part="all"):
    """Guests on this machine itself, under TCG, then DPDK's virtio-user."""
    switch = build_switch() + "/vhx-switch"
    os.environ.update(
        VHX_CACHE=CACHE, PYTHONDONTWRITEBYTECODE="1",
        VHX_GUEST_VMLINUX=said(VM, "fetch", kernel) + "/vmlinux",
        VHX_GUEST_INITRD=said(VM, "initramfs", kernel))
    sys.stdout.flush()
    guests = "tools/testing/switch/guests.py"
    subprocess.run(["timeout", "300", "unshare", "-n",
                    "tools/testing/switch/alone.py", switch], check=False)
    subprocess.run(["timeout", "900", guests, switch], check=False)
    offload = ["timeout", "600", "unshare", "-nm",
               "tools/testing/switch/offload.py", switch]
    subprocess.run(offload, check=False)
    for root in ("qemu-10.0", "qemu-11.1", "dpdk"):
        os.environ["VHX_ROOT_" + re.sub("[^a-z0-9]", "_", root)] = \
            said(VM, "root", root)
    if part == "all":
        subprocess.run(["timeout", "900", "unshare", "-m", guests, switch,
                        "10.0", "11.1"], check=False)
        subprocess.run([*offload, "10.0", "11.1"], check=False)
    subprocess.run(["timeout", "900", "unshare", "-nm", "sh", "-c",
                    "mount -t sysfs sysfs /sys && "
                    "exec tools/testing/switch/virtio_user.py \"$1\"", "sh",
                    switch], check=False)


def stage_top(kernel=""):
    """On texts and recorded folders; with a kernel, on what happens there."""
    path = build_top()
    if kernel:
        _, out = vm_run(f"top-{kernel}", "-b", "-t", "900", kernel, "--",
                        "tools/testing/top/run.py", path,
                        rename=lambda line: ktap.prefixed(line, f"{kernel}."))
        case(f"top.{kernel}.kernel_log_clean_ok", is_log_clean(out))
        return
    root = said(VM, "root", "prometheus")
    os.environ["PROMTOOL"] = " ".join([
        f"{root}/lib64/ld-linux-x86-64.so.2", "--library-path",
        f"{root}/usr/lib/x86_64-linux-gnu", f"{root}/usr/bin/promtool"])
    sys.stdout.flush()
    subprocess.run(["make", "-s", "-C", "tools/testing/top", f"OUTPUT={path}",
                    "check"], check=False)
    subprocess.run(["tools/testing/top/tree_test.py", f"{path}/vhx-top"],
                   check=False)
    subprocess.run(["tools/testing/top/load_test.py"], check=False)
    subprocess.run(["tools/testing/top/status_test.py", f"{path}/asan/vhx-status"],
                   check=False)
    switch = build_switch() + "/vhx-switch"
    sys.stdout.flush()
    subprocess.run(["tools/testing/top/live_switch.py", f"{path}/vhx-top", switch],
                   check=False)


def stage_rust(root="rust-trixie"):
    """Front-ends of rust-vmm's vhost crate on this machine itself."""
    program = build_rust(root)
    sys.stdout.flush()
    subprocess.run(["timeout", "300", "tools/testing/switch/rust.py",
                    build_switch() + "/vhx-switch", program], check=False)


def stage_pin(kernel):
    """Rules alone; workers of both modules; then a domain of libvirt."""
    path = build_pin()
    sys.stdout.flush()
    subprocess.run([f"{path}/rule_test"], check=False)
    is_ok, out = vm_run(
        f"pin-{kernel}", "-b", "-r", "libvirt", "-t", "1200", kernel, "--", "sh",
        "-c", 'cd tools/testing/top && ./pin_test.py "$1"; s=$?; '
        './libvirt_test.py "$1" && exit $s', "sh", path,
        rename=lambda line: re.sub(r"^((?:not )?ok [0-9]* pin)",
                                   rf"\1.{kernel}", line))
    case(f"pin.{kernel}.kernel_log_clean_ok", is_ok or is_log_clean(out))


def run(name, args):
    """A stage in this process, from the top of the checkout."""
    os.chdir(TOP)
    found = (getattr(importlib.import_module(file), f"stage_{name}", None)
             for file in FILES)
    next(filter(None, found))(*args)
