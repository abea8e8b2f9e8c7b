#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The role of contrib/ansible in L1, by ansible-playbook against itself; prints KTAP.

Installed is what was built outside: VHX_KO, and the programs of VHX_TOOLS, by the
checkout's `make install`. A module that is held open stands for a VM.
Arguments: names of steps, to run only those.
"""
import contextlib
import json
import os
import re
import subprocess
import sys

import host
from install import NODE, expect, hide_modules, loaded, make_static_nodes, \
    open_node, run_steps, sh, unload

TOP = os.getcwd()
CONF = "/etc/modprobe.d/vhx-ansible.conf"
STEPS = []


def step(func):
    STEPS.append(func)
    return func


def play(status, module=os.environ["VHX_KO"], **variables):
    """What a run of the playbook says, which ends with that status."""
    variables = {
        "ansible_become": False, "vhx_install_from": "source",
        "vhx_checkout": TOP, "vhx_make_args": [
            "DKMS=", f"MODULE={module}", f"OUTPUT={os.environ['VHX_TOOLS']}",
            "KERNELRELEASE=" + os.uname().release],
        **variables}
    done = subprocess.run(
        ["ansible-playbook", "-c", "local", "-i", "/tmp/vhx-hosts", "-e",
         json.dumps(variables), "contrib/ansible/rollout.yml"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1",
             "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
             "ANSIBLE_LOCAL_TEMP": "/tmp/ansible", "LC_ALL": "C.UTF-8"})
    if done.returncode != status:
        raise host.HostError(done.stdout[-3000:])
    return done.stdout


def changed(text):
    return int(re.search(r"\bchanged=(\d+)", text)[1])


def left():
    return sh("find /lib/modules /etc/modprobe.d /usr/local -name '*vhx*'").strip()


def parameter(name):
    return sh(f"cat /sys/module/vhx_net/parameters/{name}").strip()


@contextlib.contextmanager
def node_in_use():
    file = os.open(NODE, os.O_RDWR)
    try:
        yield
    finally:
        os.close(file)


@step
def other_kernel_is_left_alone_ok():
    text = play(0, vhx_kernel_max="6.0")
    expect(0, changed(text))
    expect(False, os.path.exists(CONF))


@step
def installed_beside_vms_in_use_ok():
    """In-tree goes on for those that have it, and the play says so."""
    open_node()
    with node_in_use():
        text = play(0)
        expect(True, "VMs use vhost_net, and keep it" in text)
        expect({"vhost_net"}, loaded())
    unload()
    open_node()
    expect({"vhx_net"}, loaded())


@step
def again_changes_nothing_ok():
    expect(0, changed(play(0)))
    expect({"vhx_net"}, loaded())


@step
def features_for_the_next_vm_ok():
    with node_in_use():
        play(0, vhx_features="6.1")
        expect("all", parameter("features"))
    play(0, vhx_features="6.12")
    expect("6.12", parameter("features"))


@step
def removed_ok():
    play(0, vhx_state="absent")
    expect({"vhost_net"}, loaded())
    expect("", left())


@step
def damaged_module_is_rolled_back_ok():
    unload()
    with open("/tmp/damaged.ko", "wb") as file:
        file.write(b"no module")
    text = play(2, "/tmp/damaged.ko")
    expect(True, "vhx was removed again" in text)
    expect({"vhost_net"}, loaded())
    expect(False, os.path.exists(CONF))
    expect("", left())


def main():
    hide_modules()
    make_static_nodes()
    with open("/tmp/vhx-hosts", "w") as file:
        file.write("[vhx]\nlocalhost\n")
    return run_steps("ansible.role", STEPS)


if __name__ == "__main__":
    sys.exit(main())
