#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The install rule of etc/vhx.conf, with a modprobe that does as it is told. Prints
KTAP. usage: load_test.py [CASE...]"""
import os
import re
import shutil
import subprocess
import sys

from folder_cases import Failed, Skip, case, expect, read, run_cases
from tree import Tree

RULES = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                     "../../../etc/vhx.conf")
MODPROBE = """\
#!/bin/sh
name=
for word; do name=$word; done
[ -e {root}/fails-$name ] || {{ mkdir -p {root}/sys/module/$name/parameters; \
echo "$name" >>{root}/ran; echo live >{root}/sys/module/$name/initstate; \
[ $name = vhost_net ] || cp {root}/node {root}/sys/module/vhx_net/parameters; exit 0; }}
case "$MODPROBE_OPTIONS" in *-q*) ;; *) cat {root}/fails-$name >&2;; esac
exit 1
"""


def moved(host, text):
    """Of the rule, all that it touches is below the folder."""
    for old, new in (("/sbin/modprobe", f"{host.root}/modprobe"),
                     ("/sys/", f"{host.root}/sys/"), ("/run/", f"{host.root}/run/"),
                     ("/dev/kmsg", f"{host.root}/dev/kmsg"),
                     ("logger", f"{host.root}/logger")):
        text = text.replace(old, new)
    return text


def install_rule():
    return re.search(r"^install vhx (.*)", read(RULES).replace("\\\n", ""), re.M)[1]


def open_node(host, options="", shell="dash", **environ):
    """What modprobe does when the node is opened: as the kernel starts it, without
    any descriptor. Return: its status, what loaded, what the log got"""
    rule = moved(host, install_rule()).replace("$CMDLINE_OPTS", options)
    if not os.path.isdir(f"{host.root}/dev/kmsg"):
        host.write("dev/kmsg", "")
    done = subprocess.run([shell, "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', shell, rule],
                          env={**os.environ, "MODPROBE_OPTIONS": "-q", **environ},
                          check=False, timeout=60)
    log = "" if os.path.isdir(f"{host.root}/dev/kmsg") else \
        read(f"{host.root}/dev/kmsg").replace(host.root, "")
    return done.returncode, {name for name in ("vhx_net", "vhost_net") if
                             os.path.isdir(f"{host.root}/sys/module/{name}")}, log


def shells():
    """What /bin/sh is, here and there."""
    return [shell for shell in ("dash", "bash") if shutil.which(shell)]


def prepare(host, node="vhost-net", **fails):
    """A host where each of these modules cannot be loaded, and why."""
    host.write("modprobe", MODPROBE.format(root=host.root))
    os.chmod(f"{host.root}/modprobe", 0o755)
    os.makedirs(f"{host.root}/run", exist_ok=True)
    for name in os.listdir(host.root):
        if name.startswith("fails-"):
            os.unlink(f"{host.root}/{name}")
    for name in ("vhx_net", "vhost_net"):
        shutil.rmtree(f"{host.root}/sys/module/{name}", ignore_errors=True)
    host.write("node", node + "\n")
    for name, why in fails.items():
        host.write(f"fails-{name}", why + "\n")


REJECTED = "modprobe: ERROR: could not insert 'vhx_net': Key was rejected by service"
LINE = "vhx_net is not loaded (Key was rejected by service)"


@case
def loads_ours_ok(host):
    for shell in shells():
        prepare(host)
        host.write("run/vhx-refused", "old\n")
        expect((0, {"vhx_net"}, ""), open_node(host, shell=shell))
        expect(False, os.path.exists(f"{host.root}/run/vhx-refused"))


@case
def falls_back_and_says_so(host):
    for shell in shells():
        prepare(host, vhx_net=REJECTED)
        line = LINE + ": in-tree vhost_net serves /dev/vhost-net\n"
        expect((0, {"vhost_net"}, "<12>vhx: " + line), open_node(host, shell=shell))
        expect(line, read(f"{host.root}/run/vhx-refused").replace(host.root, ""))


@case
def without_in_tree_fails(host):
    for shell in shells():
        prepare(host, vhx_net=REJECTED, vhost_net="no")
        expect((1, set(), f"<12>vhx: {LINE}: nobody serves /dev/vhost-net\n"),
               open_node(host, shell=shell))


@case
def no_reason_is_said_as_such(host):
    prepare(host, vhx_net="")
    expect((0, {"vhost_net"}, "<12>vhx: vhx_net is not loaded (modprobe does not say "
            "why): in-tree vhost_net serves /dev/vhost-net\n"), open_node(host))


@case
def strict_fails(host):
    for shell in shells():
        for options in ("strict=1", "strict=1 strict=0", "strict=0 strict=1", " strict=1 "):
            prepare(host, vhx_net=REJECTED)
            expect((1, set(), f"<12>vhx: {LINE}, and strict=1: nobody serves "
                    "/dev/vhost-net\n"), open_node(host, options, shell))
        for options in ("strict=0", "strict=10", "nostrict=1"):
            prepare(host, vhx_net=REJECTED)
            expect((0, {"vhost_net"}), open_node(host, options, shell)[:2])


@case
def in_tree_was_first_silent(host):
    for shell in shells():
        prepare(host, vhx_net=REJECTED)
        os.makedirs(f"{host.root}/sys/module/vhost_net")
        expect((0, {"vhost_net"}, ""), open_node(host, shell=shell))


@case
def another_open_was_first_silent(host):
    """Both at once: one modprobe loads it, the other finds it loaded."""
    for shell in shells():
        prepare(host, vhx_net="modprobe: ERROR: Module already in kernel")
        host.write("sys/module/vhx_net/parameters/node", "vhost-net\n")
        host.write("sys/module/vhx_net/initstate", "live\n")
        expect((0, {"vhx_net"}, ""), open_node(host, shell=shell))


@case
def in_tree_still_loading_is_waited_for(host):
    """modprobe of a module that is loading ends when that has its node."""
    for shell in shells():
        prepare(host, vhx_net=REJECTED)
        host.write("sys/module/vhost_net/initstate", "coming\n")
        host.write("ran", "")
        expect((0, {"vhost_net"}, ""), open_node(host, shell=shell))
        expect("vhost_net\n", read(f"{host.root}/ran"))


@case
def ours_that_fails_for_another_open_falls_back(host):
    """It fails for both, and is there while the other one tries."""
    for shell in shells():
        prepare(host, vhx_net=REJECTED)
        host.write("sys/module/vhx_net/parameters/node", "vhost-net\n")
        host.write("sys/module/vhx_net/initstate", "coming\n")
        expect((0, {"vhx_net", "vhost_net"}), open_node(host, shell=shell)[:2])
        if LINE not in read(f"{host.root}/run/vhx-refused"):
            raise Failed(read(f"{host.root}/run/vhx-refused"))


@case
def variables_of_the_caller_are_not_taken(host):
    """modprobe by hand, in an environment that has names of the rule's."""
    for shell in shells():
        prepare(host, vhx_net=REJECTED)
        expect((1, set()), open_node(host, "strict=1", shell, node="vhost-net",
                                     state="live", why="x", status="0")[:2])


@case
def with_another_node_loads_both(host):
    for shell in shells():
        prepare(host, "fast")
        expect((0, {"vhx_net", "vhost_net"}, ""), open_node(host, shell=shell))
        prepare(host, vhx_net="modprobe: ERROR: Module already in kernel")
        host.write("sys/module/vhx_net/parameters/node", "fast\n")
        host.write("sys/module/vhx_net/initstate", "live\n")
        expect((0, {"vhx_net", "vhost_net"}, ""), open_node(host, shell=shell))


@case
def without_log_and_run_falls_back(host):
    """Early boot, or file systems that are full."""
    os.makedirs(f"{host.root}/dev/kmsg")
    for shell in shells():
        prepare(host, vhx_net=REJECTED)
        shutil.rmtree(f"{host.root}/run")
        expect((0, {"vhost_net"}, ""), open_node(host, shell=shell))
        # logger(1) has it then
        host.write("logger", f'#!/bin/sh\necho "$*" >{host.root}/logged\n')
        os.chmod(f"{host.root}/logger", 0o755)
        prepare(host, vhx_net=REJECTED)
        expect(0, open_node(host, shell=shell)[0])
        expect(f"-t vhx -p user.warning {LINE}: in-tree vhost_net serves "
               "/dev/vhost-net\n", read(f"{host.root}/logged").replace(host.root, ""))
        os.unlink(f"{host.root}/logger")


@case
def as_kmod_reads_it_ok(host):
    """Options of it come where the rule looks for them."""
    if not shutil.which("modprobe"):
        raise Skip("no modprobe")
    host.write("kmod/vhx.conf", moved(host, read(RULES)))
    for alias, options, loaded in (("char-major-10-238", "", True),
                                   ("devname:vhost-net", "", True),
                                   ("char-major-10-238", "options vhx strict=1", False)):
        prepare(host, vhx_net=REJECTED)
        host.write("dev/kmsg", "")
        host.write("kmod/local.conf", options + "\n")
        done = subprocess.run(["modprobe", "-q", "-C", f"{host.root}/kmod", alias],
                              check=False, capture_output=True)
        expect((not loaded, loaded), (
            bool(done.returncode), os.path.isdir(f"{host.root}/sys/module/vhost_net")))
        if not read(f"{host.root}/dev/kmsg").startswith(f"<12>vhx: {LINE}"):
            raise Failed(read(f"{host.root}/dev/kmsg"))


@case
def by_shellcheck_ok(host):
    if not shutil.which("shellcheck"):
        raise Skip("no shellcheck")
    rule = install_rule()
    done = subprocess.run(["shellcheck", "-s", "sh", "-S", "warning", "-"],
                          input=rule.replace("; ", ";\n") + "\n", text=True,
                          capture_output=True, check=False)
    expect((0, ""), (done.returncode, done.stdout))


sys.exit(run_cases("top.load", Tree, sys.argv[1:]))
