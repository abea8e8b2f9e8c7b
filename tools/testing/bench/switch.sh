#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# make bench-switch: vhx-switch beside Open vSwitch with DPDK (those of Debian 12)
# between two guests on vhost-user sockets.  Documentation/performance.rst.
#
#   switch.sh [-r ROUNDS] [-c CELL]
#   switch.sh --help
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
pages=/proc/sys/vm/nr_hugepages
free=/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages
wanted=512
memory=1024			# MiB, the same
switch_cpu=0
guest_cpu=1
pids=()

if [ "${1:-}" = --help ]; then
	echo "usage: switch.sh [-r ROUNDS] [-c CELL]
ROUNDS: 15, up to 128; each is a turn A B B A of the two switches
CELL:   only rows whose name has that in it, such as 'split 64' or 'CPU'"
	exit
fi

step() { printf '[%3d s] %s\n' "$SECONDS" "$*" >&2; }

dir=$(mktemp -d)
taken=0				# pages

tidy() {
	local pid

	for pid in "${pids[@]}"; do
		kill -CONT "$pid" 2>/dev/null || continue
		kill "$pid" || true
		tail --pid="$pid" -s 0.1 -f /dev/null
	done
	rm -r "$dir"
	[ $taken = 0 ] || echo $(($(cat $pages) - taken)) >$pages
}
trap tidy EXIT

# In a network namespace of its own: a bridge has a tap of the host's.
root() { # program options...
	unshare -n "$root/lib64/ld-linux-x86-64.so.2" --library-path \
		"$root/usr/lib/x86_64-linux-gnu" "$root/$1" "${@:2}"
}

vsctl() {
	root usr/bin/ovs-vsctl "--db=unix:$dir/db.sock" --timeout=60 "$@"
}

daemon() { # program options...
	local name=${1##*/}

	root "$@" --detach --no-chdir "--log-file=$dir/$name.log" \
		"--pidfile=$dir/$name.pid" 2>>"$dir/said" ||
		{ cat "$dir/said" >&2; return 1; }
	pids=("$(cat "$dir/$name.pid")" "${pids[@]}")
}

# On top of those that others have.
take_pages() {
	local before

	before=$(cat $pages)
	{ echo $((before + wanted)) >$pages; } 2>/dev/null || true
	taken=$(($(cat $pages) - before))
	[ "$(cat $free 2>/dev/null || echo 0)" -ge $wanted ]
}

start_ovs() {
	local plugin=usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_mempool_ring.so.23
	local extra="--no-pci --no-telemetry -d $root/$plugin" port

	export OVS_RUNDIR=$dir OVS_LOGDIR=$dir OVS_DBDIR=$dir \
		OVS_SYSCONFDIR=$dir OVS_PKGDATADIR=$root/usr/share/openvswitch
	root usr/bin/ovsdb-tool create "$dir/conf.db" \
		"$root/usr/share/openvswitch/vswitch.ovsschema"
	daemon usr/sbin/ovsdb-server "$dir/conf.db" "--remote=punix:$dir/db.sock"
	vsctl --no-wait init
	if take_pages; then
		vsctl --no-wait set Open_vSwitch . \
			other_config:dpdk-socket-mem=$memory
	else
		echo "No hugepages to be had here: OVS does without, which costs" \
			"it time."
		# OVS adds --in-memory unless it has --legacy-mem
		extra+=" --no-huge --legacy-mem --no-shconf --iova-mode=va"
		extra+=" -m $((2 * memory))"
	fi
	vsctl --no-wait set Open_vSwitch . other_config:dpdk-init=true \
		other_config:pmd-cpu-mask=$((1 << switch_cpu)) \
		"other_config:dpdk-extra=$extra"
	daemon usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk \
		"unix:$dir/db.sock"
	vsctl add-br br0 -- set bridge br0 datapath_type=netdev
	for port in ovs-a ovs-b; do
		vsctl add-port br0 $port -- \
			set Interface $port type=dpdkvhostuser
	done
}

start_vhx() {
	taskset -c $switch_cpu "$dir/vhx-switch" --ctl "$dir/ctl" \
		--port "vhost-user,path=$dir/vhx-a" \
		--port "vhost-user,path=$dir/vhx-b" &
	pids=($! "${pids[@]}")
	timeout 20 bash -c "until [ -S '$dir/vhx-b' ]; do sleep 0.1; done"
}

if [ "$(nproc)" -lt 2 ]; then
	echo "One core: a switch and its guests need one each." >&2
	exit 1
fi
step "Open vSwitch of Debian 12, unpacked"
root=$("$here/../vm/vm" root ovs-dpdk)
step "vhx-switch and the guests"
make -s -C "$here/../../vhx-switch" OUTPUT="$dir" >/dev/null
make -s -C "$here" OUTPUT="$dir" switch_bench
step "both switches"
start_ovs
vhx=$dir/vhx
start_vhx
ovs=$dir/ovs
step "turns"
echo "load of the machine before: $(cut -d' ' -f1-3 /proc/loadavg)"
taskset -c $guest_cpu "$dir/switch_bench" "$@" \
	"vhx:${pids[0]}:$vhx-a:$vhx-b" "ovs:${pids[1]}:$ovs-a:$ovs-b"
step "done"
