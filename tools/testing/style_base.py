# SPDX-License-Identifier: GPL-2.0-only
"""The tree, and commands that look at it: what the cases of style have in common."""
import os
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
TESTS = "tools/testing/"
# Copied from the kernel as they are.
FOREIGN = TESTS + "selftests/kselftest"


class Skip(Exception):
    """Why a case could not be run."""


def run(*cmd, cwd=TOP, **options):
    """What a command says; what it says when it fails is the complaint."""
    return subprocess.run([str(word) for word in cmd], cwd=cwd, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, **options)


def complaints_of(*cmd, **options):
    done = run(*cmd, **options)
    if not done.returncode:
        return []
    return done.stdout.splitlines() or [f"{cmd[0]}: status {done.returncode}"]


def need(command):
    """A name of a command that is installed, else the case is skipped."""
    path = os.environ["PATH"].split(":")
    if not any(os.access(os.path.join(d, command), os.X_OK) for d in path):
        raise Skip(f"{command} is not installed")
    return command


def tree_files():
    names = run("git", "ls-files", "-co", "--exclude-standard").stdout
    return [name for name in names.splitlines()
            if not name.startswith(FOREIGN) and (TOP / name).is_file()]


def text_of(name):
    return (TOP / name).read_text(errors="replace")
