#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# `make install` by DKMS for a kernel of the rig, outside of it: emulated, the
# compiler takes a quarter of an hour. Over this machine's root lies an empty
# layer of its own; what ends up there is what a machine has after the command.
#
#   install-outside.sh K DIR     DIR: gets the files, by their paths below /
set -euo pipefail

vmdir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
top=$(cd "$vmdir/../../.." && pwd -P)
kdir=$("$vmdir/vm" fetch "$1")
rm -rf "$2"
mkdir -p "$2"
out=$(cd "$2" && pwd -P)
tmp=$(mktemp -d)
trap 'rmdir "$tmp"' EXIT

# shellcheck disable=SC2016 # the inner shell's variables
TOP=$top KDIR=$kdir OUT=$out tmp=$tmp unshare -m bash -euc '
	rel=$(cat "$KDIR/release")
	mount -t tmpfs tmpfs "$tmp"
	mkdir "$tmp"/{upper,work,root,kupper,kwork}
	mount -t overlay overlay \
		-o "lowerdir=/,upperdir=$tmp/upper,workdir=$tmp/work" "$tmp/root"
	mkdir -p "$tmp/root/lib/modules"
	for path in "$TOP" "$KDIR" /proc /dev; do
		mkdir -p "$tmp/root$path"
		mount --bind "$path" "$tmp/root$path"
	done
	mount -t overlay overlay \
		-o "lowerdir=$KDIR/lib/modules,upperdir=$tmp/kupper,workdir=$tmp/kwork" \
		"$tmp/root/lib/modules"
	chroot "$tmp/root" make -C "$TOP" install "KERNELRELEASE=$rel"
	umount "$tmp/root/lib/modules"
	rm -rf "$tmp/upper/tmp"
	cp -a "$tmp/upper/." "$OUT"
	cp -a "$tmp/kupper/." "$OUT$(realpath /lib)/modules"
	find "$OUT" -type c -delete
' >&2
