#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The other half of make bench-switch: vhx-switch beside a bridge of the kernel with
# two taps and vhx_net, in one boot of a VM that counts instructions.
# Documentation/performance.rst.
#
#   switch_vm.sh [KERNEL [-r ROUNDS] [-c CELL]]
#   switch_vm.sh --help
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
node=/dev/vhost-net-vhx

if [ "${1:-}" = --help ]; then
	echo "usage: switch_vm.sh [KERNEL [-r ROUNDS] [-c CELL]]
KERNEL: 6.12, or another since 6.4, whose workers are threads of their owner
ROUNDS: 3, up to 128; each is a turn A B B A of switch and bridge
CELL:   only rows whose name has that in it; 'CPU' unless it is said"
	exit
fi

inside() { # folder of the programs, options...
	local dir=$1 port

	modprobe -a tun bridge vhost_net
	insmod "$VHX_KO" "node=${node##*/}"
	# no frames but those of the guests
	sysctl -q net.ipv6.conf.all.disable_ipv6=1 \
		net.ipv6.conf.default.disable_ipv6=1
	ip link add br0 type bridge forward_delay 0 mcast_snooping 0
	for port in tap-a tap-b; do
		ip tuntap add "$port" mode tap vnet_hdr
		ip link set "$port" master br0
	done
	ip link set br0 up
	"$dir/vhx-switch" --ctl /tmp/ctl \
		--port vhost-user,path=/tmp/a --port vhost-user,path=/tmp/b &
	until [ -S /tmp/b ]; do sleep 0.1; done
	"$dir/switch_bench" -r 3 -c CPU "${@:2}" "vhx:$!:/tmp/a:/tmp/b" \
		"kernel:0:$node=tap-a:$node=tap-b"
}

outside() {
	local k=${1:-6.12} dir

	dir=$(mktemp -d)
	# shellcheck disable=SC2064 # the folder as it is now
	trap "rm -r '$dir'" EXIT
	make -s -C "$here/../../vhx-switch" OUTPUT="$dir" >/dev/null
	make -s -C "$here" OUTPUT="$dir" switch_bench
	echo "vhx-switch beside taps and a bridge, in a VM in which an instruction takes 1 ns:"
	"$here/../vm/vm" run -b -i -t 1800 "$k" -- \
		"$here/switch_vm.sh" --inside "$dir" "${@:2}"
}

if [ "${1:-}" = --inside ]; then
	inside "${@:2}"
else
	outside "$@"
fi
