#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# make bench-lib: what a frame costs libvhx beside DPDK's librte_vhost (that of
# Debian 12), in one process, and how many a second they move from core to core.
# Documentation/performance.rst.
#
#   lib.sh [-r ROUNDS] [-c CELL]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
pages=/proc/sys/vm/nr_hugepages
free=/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages
wanted=32

dpdk=$("$here/../vm/vm" root dpdk)
bin=$(mktemp -d)
before=$(cat $pages)

tidy() {
	rm -r "$bin"
	[ "$(cat $pages)" = "$before" ] || echo "$before" >$pages
}
trap tidy EXIT

make -s -C "$here" OUTPUT="$bin" DPDK="$dpdk" lib_bench
# librte_vhost is up to 1.8 times slower without
{ echo $((before + wanted)) >$pages; } 2>/dev/null || true
if [ "$(cat $free 2>/dev/null || echo 0)" -ge $wanted ]; then
	"$bin/lib_bench" "$@"
else
	echo "No hugepages to be had here: librte_vhost does without, which" \
		"costs it time. Compare instructions alone."
	"$bin/lib_bench" -H "$@"
fi
