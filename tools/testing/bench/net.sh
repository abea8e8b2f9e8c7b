#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# make bench-net: what a packet costs vhx_net with split and packed rings beside
# in-tree vhost_net, in one boot of a VM that counts instructions, or on this machine.
# Documentation/performance.rst.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

usage="usage: net.sh [--real] [KERNEL [-r ROUNDS] [-c CELL]...]
       net.sh --where [KERNEL [-c CELL]...]
       net.sh --pace [KERNEL [-r ROUNDS] [-c CELL]]
       net.sh --scale [KERNEL [-r ROUNDS] [-n DEVICES]]
       net.sh --guest [KERNEL [-r ROUNDS] [-c CELL]... [--ours-twice]]
       net.sh --here [--help | OPTION...]
--real:  in an ordinary VM, by the clock
--here:  on this machine, by the clock and perf's counters, no VM; as root, with the
         modules loaded
--where: which functions the worker's instructions go to
--pace:  latency, and CPU of the worker, at 1000 to 100,000 frames a second, with and
         without polling
--scale: what many devices cost, idle and busy
--guest: a guest on each module, under KVM in an ordinary VM, by the clock: TCP and UDP
         of 64 bytes both ways, TCP_RR; --ours-twice: both on ours, to see how far
         that is from 1
KERNEL:  6.1, or another that \`vm kernels' lists; with --pace 6.12
ROUNDS:  5, with --pace 1, --scale 3, --guest 12 and two at least, up to 32; the
         variants take turns
DEVICES: no more than so many
CELL:    only rows whose name has that in it; with --where rows of that name, up to
         16, else tx 64, rx 64, tx 1500 and rx 1500"

inside() { # program options...
	modprobe -a tun macvtap veth vhost_net
	insmod "$VHX_KO" node=vhost-net-vhx
	# with the grace periods of an ordinary host where opening and closing is timed
	[ "${1##*/}" = net_scale ] || echo 1 >/sys/kernel/rcu_expedited
	if [ "${VHX_WHERE:-}" = 1 ]; then
		cat /proc/kallsyms >"$VHX_OUT/kallsyms"
		readelf -sW "$VHX_KO" >"$VHX_OUT/symbols"
	fi
	case $1 in
	*/net_pace)
		"$@" "in-tree 0":/dev/vhost-net:0 "in-tree 50":/dev/vhost-net:50 \
			"vhx 0":/dev/vhost-net-vhx:0 \
			"vhx 50":/dev/vhost-net-vhx:50 \
			"vhx auto":/dev/vhost-net-vhx:auto=10 \
			"vhx auto 100 %":/dev/vhost-net-vhx:auto=100 ;;
	*)
		"$@" in-tree:/dev/vhost-net vhx:/dev/vhost-net-vhx \
			vhx-packed:/dev/vhost-net-vhx:packed ;;
	esac
}

program=net_bench bin=''
trap '[ -z "$bin" ] || rm -r "$bin"' EXIT

count() { # vm's options -- kernel options...
	local vm=()

	while [ "$1" != -- ]; do
		vm+=("$1")
		shift
	done
	"$here/../vm/vm" run -b "${vm[@]}" -t 1800 "${2:-6.1}" -- \
		"$here/net.sh" --inside "$bin/$program" "${@:3}"
}

where() { # kernel options...
	local kernel=${1:-6.1} headers cells=("${@:2}")

	[ $# -gt 1 ] ||
		cells=(-c 'tx 64' -c 'rx 64' -c 'tx 1500' -c 'rx 1500')
	headers=$("$here/../vm/vm" plugin)
	make -s -C "$here" OUTPUT="$bin" PLUGIN="$headers" where.so
	mkdir "$bin/out"
	VHX_WHERE=1 count -i -o "$bin/out" \
		-p "$bin/where.so,out=$bin/out/blocks" -- \
		"$kernel" -r 1 -w /out/measured "${cells[@]}" >&2
	"$here/where.py" "$bin/out"
}

guest() { # kernel options...
	"$here/../vm/vm" run -b -g 6.12 -t 3600 "${1:-6.1}" -- \
		"$here/net_guest.py" "${@:2}"
}

outside() {
	bin=$(mktemp -d)
	case ${1:-} in
	--pace) program=net_pace ;;
	--scale) program=net_scale ;;
	esac
	make -s -C "$here" OUTPUT="$bin" "$program"
	case ${1:-} in
	--where) where "${@:2}" ;;
	--scale) count -i -- "${@:2}" ;;
	--real) count -- "${@:2}" ;;
	--pace) count -i -s 2 -- "${2:-6.12}" "${@:3}" ;;
	*) count -i -- "$@" ;;
	esac
}

case ${1:-} in
--help) echo "$usage" ;;
--guest) guest "${@:2}" ;;
--here) exec "$here/net_here.sh" "${@:2}" ;;
--inside) inside "${@:2}" ;;
*) outside "$@" ;;
esac
