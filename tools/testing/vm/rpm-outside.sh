#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# RPM packages of contrib/rpm by Debian's rpmbuild, in a clean root and without a
# network: the programs, then akmod-vhx, then of the source package in that the
# module for a kernel of the rig. Names of Fedora's packages are not asked for.
#
#   rpm-outside.sh K DIR     DIR: gets the packages
set -euo pipefail

vmdir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
top=$(cd "$vmdir/../../.." && pwd -P)
kdir=$("$vmdir/vm" fetch "$1")
root=$("$vmdir/vm" root build-rpm)
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$top/dkms.conf")
rm -rf "$2"
mkdir -p "$2"
out=$(cd "$2" && pwd -P)
mkdir "$out/SOURCES" "$out/SPECS"
cd "$top"
git ls-files -zco --exclude-standard | while read -rd '' name; do
	[ ! -e "$name" ] || printf '%s\0' "$name"
done | tar -c --null -T - --transform "s|^|vhx-$version/|" -zf \
	"$out/SOURCES/vhx-$version.tar.gz"
cp contrib/rpm/*.spec "$out/SPECS"
tmp=$(mktemp -d)
trap 'rmdir "$tmp"' EXIT

# shellcheck disable=SC2016 # the inner shell's variables
root=$root KDIR=$kdir OUT=$out tmp=$tmp unshare -mn bash -euc '
	mount -t tmpfs tmpfs "$tmp"
	mkdir "$tmp"/{upper,work,root}
	at=$tmp/root
	mount -t overlay overlay \
		-o "lowerdir=$root,upperdir=$tmp/upper,workdir=$tmp/work" "$at"
	mount -t proc proc "$at/proc"
	mount --rbind /dev "$at/dev"
	mkdir -p "$at/build" "$at$KDIR"
	mount --bind "$OUT" "$at/build"
	mount --bind "$KDIR" "$at$KDIR"
	rel=$(cat "$KDIR/release")
	build() {
		chroot "$at" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
			HOME=/root rpmbuild --nodeps --define "_topdir /build" "$@"
	}
	build -ba /build/SPECS/vhx.spec
	build -ba /build/SPECS/vhx-kmod.spec
	install() {
		chroot "$at" sh -euc "rpm -i --force-debian --nodeps --noscripts $1"
	}
	install "/build/RPMS/*/akmod-vhx-*.rpm"
	build --define "kernels $rel" --define "kdir $KDIR/build" \
		--rebuild "$(chroot "$at" realpath /usr/src/akmods/vhx-kmod.latest)"
	chroot "$at" rpm -qlp /build/RPMS/*/*.rpm
	install "/build/RPMS/*/kmod-vhx-*.rpm /build/RPMS/*/vhx-0*.rpm /build/RPMS/*/libvhx0*.rpm"
	chroot "$at" modinfo "/lib/modules/$rel/extra/vhx/vhx_net.ko"
	chroot "$at" vhx-switch --version
' >&2
