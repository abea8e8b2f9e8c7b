# SPDX-License-Identifier: GPL-2.0-only
"""The rig's cache folder: where it is, names in it, locks, and how to talk."""
import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys

VMDIR = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.realpath(os.path.join(VMDIR, "../../.."))


def _folder():
    env = os.environ
    home = env.get("XDG_CACHE_HOME") or env.get("HOME", "/root") + "/.cache"
    return env.get("VHX_CACHE") or home + "/vhx"


CACHE = _folder()


class Failed(Exception):
    """Said on stderr; vm then exits with 1."""


def say(text):
    print(f"vm: {text}", file=sys.stderr, flush=True)


def digest(*parts):
    """The hash at the end of a name: of text, and of bytes from files."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part if isinstance(part, bytes) else f"{part}\n".encode())
    return total.hexdigest()[:16]


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def word(*path):
    """The one line of a file."""
    return read(*path).decode().strip()


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def path_of(*names):
    return os.path.join(CACHE, *names)


def is_done(folder):
    return os.path.exists(os.path.join(folder, ".done"))


def mark_done(folder):
    write(os.path.join(folder, ".done"), "")


@contextlib.contextmanager
def lock(name):
    """Two callers, of any checkout, never fetch or build the same."""
    os.makedirs(path_of("lock"), exist_ok=True)
    with open(path_of("lock", name), "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def made(path, make, *args):
    """A folder or file that make(..., path) makes unless it is there."""
    def is_there():
        return is_done(path) if os.path.isdir(path) else os.path.exists(path)

    if not is_there():
        with lock(os.path.basename(path)):
            if not is_there():
                make(*args, path)
    return path


def run(*argv, **more):
    """A command that must succeed; what it prints is talk."""
    subprocess.run(argv, check=True, stdout=sys.stderr, **more)


def output(*argv, **more):
    return subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE,
                          **more).stdout
