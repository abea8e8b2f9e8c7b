#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# make demo-user: two guests under TCG talk through vhx-switch, by vhost-user: no
# KVM and no module, root for the installation of packages alone.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
vm=$here/../vm/vm
guest=6.12

step() { printf '[%3d s] %s\n' "$SECONDS" "$*"; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
quiet() {
	"$@" >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; exit 1; }
}

step "packages that are missing"
quiet "$vm" deps
step "Debian's kernel $guest for the guests"
quiet "$vm" fetch "$guest"
quiet "$vm" initramfs "$guest"
step "libvhx and vhx-switch"
quiet make -s -C "$here/../../vhx-switch" OUTPUT="$tmp"
step "two guests"
VHX_GUEST_VMLINUX=$("$vm" fetch "$guest")/vmlinux
VHX_GUEST_INITRD=$("$vm" initramfs "$guest")
export VHX_GUEST_VMLINUX VHX_GUEST_INITRD PYTHONDONTWRITEBYTECODE=1
"$here/guests.py" --demo "$tmp/vhx-switch" 2>"$tmp/log" ||
	{ cat "$tmp/log" >&2; exit 1; }
step "done"
