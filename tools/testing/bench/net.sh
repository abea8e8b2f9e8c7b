#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# make bench-net: what a packet costs vhx_net with split and packed rings beside
# in-tree vhost_net, in one boot of a VM that counts instructions.  --real: in
# an ordinary VM, by the clock.  Documentation/performance.rst.
#
#   net.sh [--real] [KERNEL [-r ROUNDS] [-c CELL]]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

inside() { # program options...
	modprobe -a tun vhost_net
	insmod "$VHX_KO" node=vhost-net-vhx
	echo 1 >/sys/kernel/rcu_expedited
	"$@" in-tree:/dev/vhost-net vhx:/dev/vhost-net-vhx \
		vhx-packed:/dev/vhost-net-vhx:packed
}

outside() {
	local count=(-i) k bin

	[ "${1:-}" != --real ] || { count=(); shift; }
	k=${1:-6.1}
	bin=$(mktemp -d)
	# shellcheck disable=SC2064 # the folder as it is now
	trap "rm -r '$bin'" EXIT
	make -s -C "$here" OUTPUT="$bin"
	"$here/../vm/vm" run -b "${count[@]}" -t 1800 "$k" -- \
		"$here/net.sh" --inside "$bin/net_bench" "${@:2}"
}

if [ "${1:-}" = --inside ]; then
	inside "${@:2}"
else
	outside "$@"
fi
