# SPDX-License-Identifier: GPL-2.0-only
"""Cases of vhx-status: modprobe.d and the kernel's command line."""
import os
import re

from folder_cases import Failed, case, expect, read
from status_host import MAIN, RULES, SOURCE, status


@case
def bad_values_parameter(host):
    for text in ("features=6.2", "features=", "features", "workers=3", "workers=x",
                 "workers=1x", "busyloop=on", "busyloop_share=101",
                 "max_iotlb_entries=0", "fork-from-owner-default=maybe",
                 "max_mem_regions=65536", "log_lines=-1"):
        host.options("# a line", f"options vhx-net node=vhost-net {text}")
        told = status(host, "nobody", 1, "parameter", *(
            ["unknown-parameter"] if text.split("=")[0] not in
            ("features", "workers", "busyloop", "fork-from-owner-default") else []))
        if "/etc/modprobe.d/local.conf:2: " not in told["reasons"][0]["text"]:
            raise Failed(told["reasons"][0])


@case
def good_values_ready(host):
    for text in ("features=all", "features=6.12", 'features="7.3"', "workers=0x2",
                 "busyloop=auto", "fork_from_owner_default=n",
                 "fork_from_owner_default", "fork_from_owner_default=off",
                 "fork_from_owner_default=enabled"):
        host.options(f"options vhx_net {text}")
        status(host, "ready", 0)


@case
def values_are_those_of_the_module(host):
    """Each parameter of main.c is known here, and its words are."""
    text = read(MAIN)
    names = set(re.findall(r"^module_param(?:_named|_cb)?\((\w+),", text, re.M))
    known = read(f"{SOURCE}/tools/vhx-top/setting.c")
    expect(names - {"node"}, set(re.findall(r'^\t\{ "(\w+)", ', known, re.M)))
    takes = re.search(r'"features=%s: take (.*?)\\n"', text)[1]
    if f'"{takes}"' not in known:
        raise Failed(f"features takes {takes}")


@case
def other_version_may_take_other_values(host):
    host.info(version="9.9")
    host.options("options vhx_net features=9.9")
    status(host, "ready", 0)


@case
def command_line_of_the_kernel_parameter(host):
    host.write("proc/cmdline", "quiet vhx_net.features=6.2\n")
    told = status(host, "nobody", 1, "parameter")
    expect("/proc/cmdline", told["configuration"]["options"][0]["where"])


@case
def unknown_name_is_a_note(host):
    host.load()
    host.options("options vhx_net colour=red")
    status(host, "vhx", 0, "unknown-parameter")


@case
def no_file_no_rule(host):
    os.unlink(f"{host.root}/etc/modprobe.d/vhx.conf")
    status(host, "nobody", 1, "no-rule")
    host.write("usr/lib/modprobe.d/vhx.conf", read(RULES))
    status(host, "ready", 0)
    # an empty one of that name takes its place
    host.write("run/modprobe.d/vhx.conf", "")
    status(host, "nobody", 1, "no-rule")


@case
def alias_of_others_no_rule(host):
    host.write("etc/modprobe.d/aaa.conf", "alias char-major-10-238 vhost-net\n")
    told = status(host, "nobody", 1, "no-rule")
    if "/etc/modprobe.d/aaa.conf:1" not in told["reasons"][0]["text"]:
        raise Failed(told["reasons"])


@case
def install_rule_of_the_module_blocked(host):
    for name in ("vhx_net", "vhx-*"):
        host.options(f"install {name} /bin/false")
        status(host, "nobody", 1, "blocked")


@case
def first_rule_that_fits_no_rule(host):
    """Names of install rules, and of aliases, are patterns."""
    host.options("install vh[x] /bin/false")
    told = status(host, "nobody", 1, "no-rule")
    expect("/etc/modprobe.d/local.conf:1: an install rule takes the place of vhx's",
           told["reasons"][0]["text"])
    host.options("alias char-major-10-* vhost-net")
    status(host, "nobody", 1, "no-rule")


@case
def blacklist_of_modprobe_blocked(host):
    """The alias leads nowhere: in-tree is not loaded either."""
    for name in ("vhost_net", "vhx_net"):
        host.options(f"blacklist {name}")
        status(host, "ready", 0)
    host.options("blacklist vhx")
    status(host, "nobody", 2, "blocked")
    host.options("")
    host.write("proc/cmdline", "quiet modprobe.blacklist=floppy,vhx x\n")
    told = status(host, "nobody", 2, "blocked")
    if not told["reasons"][0]["text"].startswith("/proc/cmdline: "):
        raise Failed(told["reasons"])


@case
def blacklist_of_the_kernel_blocked(host):
    host.write("proc/cmdline", "module_blacklist=vhost_net,vhx_net_x\n")
    status(host, "ready", 0)
    host.write("proc/cmdline", "module_blacklist=floppy,vhx_net\n")
    host.refused("Operation not permitted")
    status(host, "nobody", 1, "blocked")


@case
def strict_has_another_status(host):
    host.options("options vhx strict=1", "options vhx_net features=6.2")
    told = status(host, "nobody", 2, "parameter", "strict")
    expect(True, told["configuration"]["strict"])
    host.options("options vhx_net features=6.2")
    host.write("proc/cmdline", "quiet vhx.strict=1\n")
    status(host, "nobody", 2, "parameter", "strict")
    host.write("proc/cmdline", "quiet\n")
    host.options("options vhx strict=1", "options vhx strict=0")
    expect(True, status(host, "ready", 0)["configuration"]["strict"])
    host.options("options vhx strict=0", "options vhx_net features=6.2")
    status(host, "nobody", 1, "parameter")
