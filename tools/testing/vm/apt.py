# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages: those the rig needs here, and those of other suites."""
import contextlib
import glob
import os
import re
import shutil

from cache import Failed, lock, output, path_of, run, say, write

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# package: the command (or file) that shows it is there
NEEDED = {
    "qemu-system-x86": "qemu-system-x86_64",
    "busybox-static": "busybox",
    "cpio": "cpio",
    "zstd": "zstd",
    "lz4": "lz4",
    "xz-utils": "xz",
    "kmod": "depmod",
    "iproute2": "ip",
    "iputils-ping": "ping",
    "iperf3": "iperf3",
    "ethtool": "ethtool",
    "mmdebstrap": "mmdebstrap",
    "gcc-12": "gcc-12",
    "gcc": "gcc",
    "libc6-dev": "/usr/include/stdlib.h",
    "make": "make",
    "bc": "bc",
    "pahole": "pahole",
    "pkg-config": "pkg-config",
    "libfuse3-dev": "/usr/include/fuse3/cuse_lowlevel.h",
    "libjson-c-dev": "/usr/include/json-c/json.h",
    "libncurses-dev": "/usr/include/curses.h",
    "tmux": "tmux",
    "sparse": "sparse",
    "python3-minimal": "/usr/bin/python3",
    "python3": "/usr/share/doc/python3",
    "dkms": "dkms",
    "debian-archive-keyring": KEYRING,
}
# The same, where machines of other architectures run
NEEDED_BY_FOREIGN = {
    "qemu-system-arm": "qemu-system-aarch64",
    "qemu-system-misc": "qemu-system-s390x",
}
# The same, where a kernel is built from its source
NEEDED_BY_KERNEL = {
    "flex": "flex",
    "bison": "bison",
    "libelf-dev": "/usr/include/gelf.h",
}


def _is_there(probe):
    return os.path.exists(probe) if probe[0] == "/" else shutil.which(probe)


def install(needed):
    """Install those packages of a table that are missing."""
    missing = [pkg for pkg, probe in needed.items() if not _is_there(probe)]
    if not missing:
        return
    if os.geteuid() != 0:
        raise Failed(f"not root, and missing: {' '.join(missing)}")
    say(f"installing by apt: {' '.join(missing)}")
    run("apt-get", "-qq", "update")
    run("apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", "-o",
        "DPkg::Lock::Timeout=300", "install", "--no-install-recommends",
        *missing)


# -- mirrors ----------------------------------------------------------------

def _targets():
    """Suite and address of each index that this machine's own apt uses."""
    out = output("apt-get", "indextargets", "--format",
                 "$(RELEASE)|$(COMPONENT)|$(REPO_URI)", "Created-By: Packages")
    for line in out.splitlines():
        suite, component, uri = line.split("|")
        if component == "main" and suite != "nodistro":
            yield suite, uri


def _configured(archive):
    """The same out of its configuration, before the first apt-get update."""
    for path in ["/etc/apt/sources.list",
                 *sorted(glob.glob("/etc/apt/sources.list.d/*.list")),
                 *sorted(glob.glob("/etc/apt/sources.list.d/*.sources"))]:
        with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
            found = re.search(rf"^[^#\n]*?([a-z+]+://\S*/{archive})/?(\s|$)",
                              file.read(), re.M)
            if found:
                return found[1]
    return None


def mirror(suite):
    """The machine's own mirror of an archive; only the suite differs."""
    if suite.endswith("-security"):
        uris = [uri for name, uri in _targets() if name.endswith("-security")]
        return uris[0] if uris else _configured("debian-security")
    uris = [uri for name, uri in _targets() if "-" not in name]
    uri = uris[0] if uris else _configured("debian")
    if not uri:
        raise Failed("no mirror of Debian in apt's configuration")
    return uri


def deb_line(suite):
    """A line for sources.list; none for a security suite without a mirror."""
    uri = mirror(suite)
    options = f"signed-by={KEYRING}"
    if suite == "forky":
        # its indexes hold for a week, and a mirror may stand still for longer
        options += " check-valid-until=no"
    return f"deb [{options}] {uri} {suite} main" if uri else None


# -- packages of other suites -------------------------------------------------

class Suites:
    """Suites in an apt state of their own: this machine's stays as it is."""

    def __init__(self, suites, has_sources=False, arch="amd64"):
        self.suites = suites
        self.has_sources = has_sources
        self.state = path_of("apt", "+".join(suites) +
                             ("-source" if has_sources else "") +
                             ("" if arch == "amd64" else f"-{arch}"))
        self.options = [
            "-o", f"Dir::Etc::sourcelist={self.state}/sources.list",
            "-o", "Dir::Etc::sourceparts=/dev/null",
            "-o", f"Dir::State::Lists={self.state}/lists",
            "-o", "Dir::State::status=/dev/null",
            "-o", f"Dir::Cache={self.state}/cache",
            "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
            "-o", f"APT::Architectures=amd64,{arch}",
            "-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none",
            "-o", "Acquire::Retries=3", "-q"]

    def update(self):
        lines = []
        for suite in self.suites:
            line = deb_line(suite)
            if line:
                lines.append(line)
                if self.has_sources:
                    lines.append(line.replace("deb", "deb-src", 1))
            else:
                say(f"apt here knows no security suite: without {suite}")
        for name in ("lists/partial", "cache/archives/partial"):
            os.makedirs(f"{self.state}/{name}", exist_ok=True)
        write(f"{self.state}/sources.list", "\n".join(lines) + "\n")
        run("apt-get", *self.options, "update")

    def newest(self, pkg):
        """Version and names of dependencies of the newest of a package."""
        show = output("apt-cache", *self.options, "show", "--no-all-versions",
                      pkg)
        fields = dict(line.split(": ", 1) for line in show.splitlines()
                      if re.match(r"[A-Z]\S*: ", line))
        depends = re.split("[,|]", fields.get("Depends", ""))
        return fields["Version"], [d.split()[0] for d in depends if d.strip()]

    def download(self, packages, folder):
        """Packages, each NAME=VERSION, as files in a folder."""
        os.makedirs(folder)
        run("apt-get", *self.options, "download", *packages, cwd=folder)

    def download_source(self, package, folder):
        """The archive of a package's source, without Debian's part."""
        run("apt-get", *self.options, "source", "--download-only", "--tar-only",
            package, cwd=folder)


@contextlib.contextmanager
def suites_updated(suites, has_sources=False, arch="amd64"):
    """Suites with fresh lists, which nobody else changes meanwhile."""
    found = Suites(suites, has_sources, arch)
    with lock("apt-" + os.path.basename(found.state)):
        found.update()
        yield found
