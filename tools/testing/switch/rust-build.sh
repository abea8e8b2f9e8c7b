#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: unshare -m rust-build.sh ROOT DIR
#
# Builds the front-ends whose sources are in DIR into DIR/rust-vmm, by cargo and
# crates of ROOT alone: nothing is fetched. ROOT was unpacked, not installed, so
# there is no cc in it.
set -eu

root=$1 dir=$2
target=x86_64-unknown-linux-gnu

mkdir -p "$root/proc" "$root/build"
mount -t proc proc "$root/proc"
mount --bind "$dir" "$root/build"
# cargo needs a target by name, or its macros would be static too
env -i PATH=/usr/sbin:/usr/bin HOME=/build CARGO_HOME=/build/cargo \
	CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=gcc \
	RUSTFLAGS="-C target-feature=+crt-static -D warnings" \
	chroot "$root" cargo build --quiet --offline --target $target \
	--manifest-path /build/Cargo.toml --target-dir /build/target \
	--config 'source.crates-io.replace-with="debian"' \
	--config 'source.debian.directory="/usr/share/cargo/registry"'
cp "$dir/target/$target/debug/rust-vmm" "$dir/rust-vmm"
grep -A1 '^name = "vhost"' "$dir/Cargo.lock"
