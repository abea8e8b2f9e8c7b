# SPDX-License-Identifier: GPL-2.0-only
"""The rig: fetches Debian kernels, builds the module for them, boots them
under QEMU's TCG and runs a command inside.  See README.rst."""
import getopt
import os
import re
import signal
import subprocess
import sys
import tempfile

import apt
import boot
import build
import images
import kernels
import plugin
import roots
import vhost_net_test
from cache import CACHE, Failed, path_of, say, word

USAGE = f"""usage: vm COMMAND
  deps                   install the Debian packages that are missing
  kernels                list the kernels
  fetch [-u] K           download and unpack kernel K, or build it (debug, kcsan:
                         half an hour); prints its directory
                         (-u: look for a newer package)
  root [NAME]            make the trixie build root, or the root of programs
                         NAME ({' '.join([*roots.PROGRAMS, *roots.INSTALLED])}); prints its directory
  in ROOT CMD [ARG...]   run CMD in a build root: {' '.join(roots.BUILDERS)}
  plugin                 get the headers that plugins of QEMU are built with;
                         prints their directory
  vhost_net_test         build the kernel's test of that name; prints its path
  build [-w] K [ARG...]  build the module for K with make ARG...; prints the
                         path of vhx_net.ko (-w: warnings do not fail)
  initramfs K            make the guest initramfs for K; prints its path
  snapshot K             a booted guest to start from under TCG; prints its path
  run [-b] [-i] [-g K2] [-T] [-r NAME]... [-S NAME] [-o DIR] [-m MEM]
      [-s CPUS] [-t SEC] [-x WORDS] [-p FILE[,NAME=VALUE]...] K -- CMD [ARG...]
                         boot K and run CMD in it as root, at the top of the
                         checkout (-b: build first and set VHX_KO; -i: one
                         CPU, or CPUS that take turns, whose every instruction
                         takes 1 ns; -g: make kernel K2 ready for guests and
                         set VHX_GUEST*; -T: and its snapshot; -r: make root
                         NAME ready and set VHX_ROOT_NAME, with _ for what is
                         no letter or digit; -S: boot root NAME, an installed
                         one, by its systemd: CMD is run once that is up;
                         -t: 600, and that times VHX_SLOW for a slow kernel;
                         -x: more words for the kernel's command line;
                         -p: a plugin for QEMU, {plugin.EMULATOR} then)
Exit status of run: that of CMD; {boot.E_KLOG} a fault in the kernel log;
{boot.E_TIMEOUT} the time was up; {boot.E_DIED} the machine died before CMD ended.
Everything made lies below $VHX_CACHE: {CACHE}
"""


class Misused(Exception):
    """The command line is not one of USAGE."""


def options(args, known, count=1):
    """Options as a dictionary of lists, and so many further words."""
    opts, words = getopt.gnu_getopt(args, known)
    if len(words) != count:
        raise Misused
    found = {}
    for name, value in opts:
        found.setdefault(name[1:], []).append(value)
    return found, words


def fetch(args):
    opts, (name,) = options(args, "u")
    print(kernels.fetched(kernels.find(name), "u" in opts))


def root(args):
    if len(args) > 1:
        raise Misused
    print(roots.program_root(args[0]) if args else roots.build_root())


def run_in(args):
    if len(args) < 2 or args[0] not in roots.BUILDERS:
        raise Misused
    return subprocess.run(roots.inside(*args), check=False).returncode


def build_module(args):
    is_lax = args[:1] == ["-w"]
    name, *more = args[is_lax:] or [""]
    print(build.built(kernels.find(name), is_lax, more))


def one_kernel(make):
    def command(args):
        _, (name,) = options(args, "")
        print(make(kernels.find(name)))
    return command


def environment(opts, kernel):
    """What the command inside gets: our VHX_*, and what the options make."""
    env = {name: value for name, value in os.environ.items()
           if name.startswith("VHX_")}
    if "b" in opts:
        env["VHX_KO"] = build.built(kernel)
    if "g" in opts:
        guest = kernels.find(opts["g"][-1])
        env["VHX_GUEST"] = guest.name
        env["VHX_GUEST_ARCH"] = guest.arch.name
        env["VHX_GUEST_VMLINUX"] = f"{kernels.fetched(guest)}/vmlinux"
        env["VHX_GUEST_INITRD"] = images.guest_initramfs(guest)
        if "T" in opts:
            env["VHX_GUEST_SNAPSHOT"] = images.snapshot(guest)
    for name in opts.get("r", []):
        env["VHX_ROOT_" + re.sub("[^a-z0-9]", "_", name)] = \
            roots.program_root(name)
    env["VHX_KERNEL"] = kernel.name
    env["VHX_KREL"] = word(kernels.fetched(kernel), "release")
    if kernel.slow != 1:
        env.setdefault("VHX_SLOW", str(kernel.slow))
    return env


def run(args):
    if "--" not in args:
        raise Misused
    split = args.index("--")
    opts, (name,) = options(args[:split], "biTg:r:S:o:m:s:t:x:p:")
    command = args[split + 1:]
    if not command:
        raise Misused
    kernel = kernels.find(name)
    env = environment(opts, kernel)
    if "o" in opts:
        out = opts["o"][-1]
        os.makedirs(out, exist_ok=True)
    else:
        os.makedirs(path_of("out"), exist_ok=True)
        out = tempfile.mkdtemp(prefix=f"{name}-", dir=path_of("out"))

    def last(option, default):
        return opts.get(option, [default])[-1]

    return boot.run(boot.Job(
        kernel, command, os.path.realpath(out), last("m", kernel.mem),
        cpus=last("s", "1" if "i" in opts else "2"),
        secs=float(last("t", 600)) * float(env.get("VHX_SLOW", 1)),
        is_counting="i" in opts, words=" ".join(opts.get("x", [])),
        plugin=last("p", ""), env=env,
        system=roots.program_root(opts["S"][-1]) if "S" in opts else ""))


COMMANDS = {
    "deps": lambda args: apt.install(apt.NEEDED),
    "kernels": lambda args: print(*kernels.KERNELS),
    "fetch": fetch,
    "root": root,
    "in": run_in,
    "plugin": lambda args: print(plugin.headers()),
    "vhost_net_test": lambda args: print(vhost_net_test.program()),
    "build": build_module,
    "initramfs": one_kernel(images.guest_initramfs),
    "snapshot": one_kernel(images.snapshot),
    "run": run,
}


def main(name="", *args):
    os.environ.update(
        DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8",
        PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    # what was begun is ended in order
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if name in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    try:
        if name not in COMMANDS:
            raise Misused
        return COMMANDS[name](list(args)) or 0
    except (Misused, getopt.GetoptError):
        print(USAGE, end="", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (Failed, FileNotFoundError) as err:
        say(err)
    except subprocess.CalledProcessError as err:
        say(f"{' '.join(err.cmd[:3])} ...: exit status {err.returncode}")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
