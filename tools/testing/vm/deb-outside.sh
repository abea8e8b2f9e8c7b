#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Installs vhx's packages in a Debian 12 that is not booted, as an image or a
# container is made, for a kernel of the rig. The module of each is compiled by DKMS
# then, and what the compiler made is kept by ccache: emulated, it takes a quarter of
# an hour.
#
#   deb-outside.sh K CCACHE PACKAGES...   CCACHE: a folder; PACKAGES: folders
set -euo pipefail

vmdir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
kdir=$("$vmdir/vm" fetch "$1")
system=$("$vmdir/vm" root debian-12)
mkdir -p "$2"
ccache=$(cd "$2" && pwd -P)
shift 2
tmp=$(mktemp -d)
trap 'rmdir "$tmp"' EXIT

# shellcheck disable=SC2016 # the inner shell's variables
SYSTEM=$system KDIR=$kdir CCACHE=$ccache tmp=$tmp unshare -mn bash -euc '
	mount -t tmpfs tmpfs "$tmp"
	mkdir "$tmp"/{upper,work,root,kupper,kwork}
	root=$tmp/root
	mount -t overlay overlay \
		-o "lowerdir=$SYSTEM,upperdir=$tmp/upper,workdir=$tmp/work" "$root"
	mkdir -p "$root/lib/modules" "$root/var/cache/ccache"
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	mount --bind "$CCACHE" "$root/var/cache/ccache"
	for path in "$KDIR" "$@"; do
		mkdir -p "$root$path"
		mount --bind "$path" "$root$path"
	done
	mount -t overlay overlay \
		-o "lowerdir=$KDIR/lib/modules,upperdir=$tmp/kupper,workdir=$tmp/kwork" \
		"$root/lib/modules"
	for path; do
		chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
			DEBIAN_KERNEL_USE_CCACHE=1 CCACHE_DIR=/var/cache/ccache \
			sh -euc "apt-get -qy -o Dpkg::Use-Pty=0 install $path/vhx-*.deb \
					$path/libvhx0*.deb $path/libvhx-cuse*.deb
				dkms status vhx | grep installed
				apt-get -qy -o Dpkg::Use-Pty=0 purge \"vhx-*\" \"libvhx*\""
	done
' deb-outside "$@" >&2
