#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: unshare -m rust-tests-build.sh ROOT DIR
#
# Builds the tests that rust-vmm's vhost crate has of itself, those of the kernel's
# half, into DIR/vhost-tests: as switch/rust-build.sh, by what is in ROOT alone.
set -eu

root=$1 dir=$2
target=x86_64-unknown-linux-gnu

mkdir -p "$root/proc" "$root/build"
rm -rf "$dir/vhost" "$dir/target"
cp -r "$root"/usr/share/cargo/registry/vhost-[0-9]* "$dir/vhost"
mount -t proc proc "$root/proc"
mount --bind "$dir" "$root/build"
env -i PATH=/usr/sbin:/usr/bin HOME=/build CARGO_HOME=/build/cargo \
	CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=gcc \
	RUSTFLAGS="-C target-feature=+crt-static" \
	chroot "$root" cargo test --quiet --offline --target $target \
	--manifest-path /build/vhost/Cargo.toml --target-dir /build/target \
	--lib --no-run --features vhost-net \
	--config 'source.crates-io.replace-with="debian"' \
	--config 'source.debian.directory="/usr/share/cargo/registry"'
find "$dir/target/$target/debug/deps" -name 'vhost-*' -type f -perm -1 \
	-exec cp {} "$dir/vhost-tests" \;
rm -rf "$dir/target"
test -x "$dir/vhost-tests"
