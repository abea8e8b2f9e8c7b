#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Front-ends of rust-vmm's vhost crate on two ports of vhx-switch: KTAP on stdout.

usage: rust.py SWITCH FRONT-ENDS

FRONT-ENDS is what rust-build.sh made of rust-vmm/.
"""
import os
import subprocess
import sys
import tempfile
import time


def start(switch, ctl, paths):
    argv = [switch, "--ctl", ctl, "--port", f"vhost-user,path={paths[0]},queues=2",
            "--port", f"vhost-user,path={paths[1]}"]
    proc = subprocess.Popen(argv, stdout=sys.stderr)
    deadline = time.monotonic() + 20
    while not all(map(os.path.exists, paths)):
        if proc.poll() is not None or time.monotonic() > deadline:
            sys.exit("vhx-switch did not start")
        time.sleep(0.05)
    return proc


def main():
    switch, front_ends = map(os.path.abspath, sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="vhx-rust-") as folder:
        paths = [os.path.join(folder, name) for name in "ab"]
        proc = start(switch, os.path.join(folder, "ctl"), paths)
        # the crate waits for an answer without an end; an alarm ends it
        status = subprocess.run([front_ends, *paths], check=False).returncode
        print("not ok" if status < 0 else "ok", "rust.ran_to_its_end_ok",
              flush=True)
        proc.terminate()
        is_ok = proc.wait(20) == 0
        print("ok" if is_ok else "not ok", "rust.switch_ends_ok", flush=True)
    return status != 0 or not is_ok


if __name__ == "__main__":
    sys.exit(main())
