#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# net.sh --here, make bench-here: what a packet costs the worker of vhx_net and of
# in-tree vhost_net on this machine, by the clock and by perf's counters, under a header
# that says which machine that is. Documentation/performance.rst.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
expedited=/sys/kernel/rcu_expedited
cpus=/sys/devices/system/cpu

usage="usage: net.sh --here [-r ROUNDS] [-c CELL]... [-t MS] [-p DRIVER,WORKER]
                    [NAME:NODE[:packed]]...
ROUNDS: 5, up to 32; the variants take turns, A B B A
CELL:   only rows whose name has that in it
MS:     100; so long is a measurement
DRIVER, WORKER:
        CPUs; else two cores of one package are chosen
NAME:NODE:
        what is measured, the first is what others are compared with; else vhost_net
        and vhx_net, with split and packed rings, as far as they are loaded
With OUTPUT in the environment the program is built there, and kept."

fail() {
	printf 'net.sh --here: %s\n' "$@" >&2
	exit 1
}

misused() {
	echo "$usage" >&2
	exit 2
}

# -- what is there ------------------------------------------------------------

variants=()

find_variants() {
	local node='' vhx=/sys/module/vhx_net

	[ ! -d $vhx ] || node=/dev/$(cat $vhx/parameters/node)
	if [ -d /sys/module/vhost_net ] && [ -c /dev/vhost-net ] &&
	   [ "$node" != /dev/vhost-net ]; then
		variants+=(in-tree:/dev/vhost-net)
	elif [ "$node" = /dev/vhost-net ]; then
		echo "in-tree is left out: vhx_net has its node. To have both: rmmod" \
			"vhx_net, modprobe vhost_net, insmod vhx_net.ko node=vhost-net-vhx"
	else
		echo "in-tree is left out: it is not loaded (modprobe vhost_net)"
	fi
	if [ -n "$node" ]; then
		variants+=("vhx:$node" "vhx-packed:$node:packed")
	else
		echo "vhx is left out: it is not loaded (make; modprobe -a tun tap;" \
			"insmod vhx_net.ko node=vhost-net-vhx)"
	fi
	[ ${#variants[@]} != 0 ] || fail \
		"neither vhx_net nor vhost_net is loaded: see above"
}

check_nodes() {
	local variant node

	for variant in "${variants[@]}"; do
		[[ $variant == *:* ]] || misused
		node=${variant#*:}
		node=${node%%:*}
		[ -c "$node" ] || fail "no $node: is its module loaded?" \
			"(lsmod | grep -e vhx_net -e vhost_net; vhx_net makes /dev/NAME of node=NAME)"
		{ : <>"$node"; } 2>/dev/null || fail "$node cannot be opened"
	done
}

check_tun() {
	[ -c /dev/net/tun ] || modprobe -q tun || true
	if [ ! -c /dev/net/tun ] || ! { : <>/dev/net/tun; } 2>/dev/null; then
		fail "no /dev/net/tun that opens: modprobe tun (CONFIG_TUN)"
	fi
}

# In a namespace of its own, as net_bench will.
has_macvtap() {
	unshare -n sh -ec 'ip link add v0 type veth peer name v1
		ip link add link v0 name m0 type macvtap mode bridge' 2>/dev/null
}

# -- two CPUs -----------------------------------------------------------------

first() { # file: its first line, or nothing
	head -n 1 "$1" 2>/dev/null | tr -d '\0' || :
}

# CPUs that this shell may use: the fastest first, then by falling number, since the
# first one has most interrupts.
usable_cpus() {
	local from to cpu speed

	taskset -cp $$ | sed 's/.*: //' | tr , '\n' |
		while IFS=- read -r from to; do seq "$from" "${to:-$from}"; done |
		while read -r cpu; do
			speed=$(first "$cpus/cpu$cpu/cpufreq/cpuinfo_max_freq")
			echo "${speed:-0} $cpu"
		done | sort -k1,1rn -k2,2rn | cut -d' ' -f2
}

# Prints DRIVER,WORKER: two cores of one package, that have the last cache in common
# if possible; else two threads or packages; nothing where there is one CPU.
choose_cpus() {
	local list a b what dir core=() package=() cache=()

	mapfile -t list < <(usable_cpus)
	for a in "${list[@]}"; do
		dir=$cpus/cpu$a
		core[a]=$(first "$dir/topology/thread_siblings_list")
		package[a]=$(first "$dir/topology/physical_package_id")
		cache[a]="${package[a]}/$(first "$dir/cache/index3/shared_cpu_list")"
	done
	for what in cache package any; do
		for a in "${list[@]}"; do
			for b in "${list[@]}"; do
				case $what in
				cache) [ "${cache[a]}" = "${cache[b]}" ] ;;
				package) [ "${package[a]}" = "${package[b]}" ] ;;
				any) [ "$a" != "$b" ] && echo "$b,$a" && return ;;
				esac && [ "$a" != "$b" ] &&
					[ "${core[a]:-$a}" != "${core[b]:-$b}" ] &&
					echo "$b,$a" && return
			done
		done
	done
	return 0
}

# -- what machine that is -----------------------------------------------------

line() { # name text...
	[ -z "${*:2}" ] || printf '%-13s%s\n' "$1" "${*:2}"
}

each_of() { # folder: NAME=VALUE of its files
	(cd "$1" 2>/dev/null && grep -H . -- * 2>/dev/null | sed 's/:/=/' |
		paste -sd ' ') || :
}

processor() { # word of /proc/cpuinfo
	sed -n "s/^$1[[:space:]]*: //p" /proc/cpuinfo | head -n 1
}

mitigations() {
	(cd $cpus/vulnerabilities 2>/dev/null &&
		grep -Hv 'Not affected' -- * | sed 's/:/: /; s/Mitigation: //' |
		paste -sd '|' | sed 's/|/\n             /g') || :
}

machine() {
	local id=/sys/class/dmi/id text

	text="$(first $id/sys_vendor) $(first $id/product_name)"
	[ "$text" != ' ' ] || text=unnamed
	! grep -qw hypervisor /proc/cpuinfo || text+=", a virtual machine"
	line machine "$text"
	line processor "$(processor 'model name'), microcode $(processor microcode);" \
		"CPUs $(first $cpus/online), threads of a core" \
		"$(first $cpus/cpu0/topology/thread_siblings_list)"
	text=$(first $cpus/cpu0/cpufreq/scaling_governor)
	text="${text:-none} ($(first $cpus/cpu0/cpufreq/scaling_driver))"
	line governor "${text/ ()/}, turbo $(turbo);" \
		"idle states: $(first $cpus/cpuidle/current_driver)"
	line mitigations "$(mitigations)"
}

turbo() {
	case $(first $cpus/intel_pstate/no_turbo)/$(first $cpus/cpufreq/boost) in
	0/* | /1) echo on ;;
	1/* | /0) echo off ;;
	*) echo unknown ;;
	esac
}

# Words of the command line that bear on speed; others are nobody's business.
kernel() {
	line kernel "$(uname -srvm)"
	line preemption "$(first /sys/kernel/debug/sched/preempt)"
	line cmdline "$(tr ' ' '\n' </proc/cmdline | grep -E \
'^(mitigations|spec|spectre|retbleed|nopti|pti|preempt|isolcpus|nohz|rcu_nocbs|idle|intel_|amd_|processor\.|nosmt|maxcpus|threadirqs|iommu|init_on)' |
		paste -sd ' ')"
}

module() { # name
	local dir=/sys/module/$1 version

	[ -d "$dir" ] || return 0
	version="$(first "$dir/version") $(first "$dir/srcversion")"
	line "$1" "$version; $(each_of "$dir/parameters")"
}

header() {
	echo "net.sh --here $(git -C "$here" describe --always --dirty 2>/dev/null ||
		:), $(date -u '+%Y-%m-%d %H:%M UTC')"
	machine
	kernel
	module vhost_net
	module vhx_net
	line pinned "${pin:+driver to CPU ${pin%,*}, worker to CPU ${pin#*,}}"
	line load "$(cut -d' ' -f1-3 /proc/loadavg)"
	echo
}

# -- the run ------------------------------------------------------------------

made='' was=''

tidy() {
	[ -z "$was" ] || echo "$was" >$expedited
	[ -z "$made" ] || rm -r "$made"
}
trap tidy EXIT

build() {
	local need

	for need in make "${CC:-cc}"; do
		command -v "$need" >/dev/null || [ -x "$OUTPUT/net_bench" ] ||
			fail "no $need: apt-get install make gcc libc6-dev"
	done
	make -s -C "$here" OUTPUT="$OUTPUT" net_bench ||
		fail "net_bench cannot be built: see above"
}

# Taps come and go, each with grace periods: else they are most of the time.
expedite() {
	was=$(first $expedited)
	if [ "$was" = 0 ]; then echo 1 >$expedited; else was=; fi
}

legend() {
	echo "
ns, instr., cycles: of the worker, a packet; of a latency row all that passes. kpps: of
driver, host's side and worker together. Medians and quartiles, rounds: $1; a ratio
is that of the worker's ns to that of the first variant in the same round."
}

measure() {
	local opts=() pin='' rounds=5 ms=100 opt

	while getopts r:c:t:p: opt; do
		case $opt in
		r) rounds=$OPTARG ;;
		t) ms=$OPTARG ;;
		c) opts+=(-c "$OPTARG") ;;
		p) pin=$OPTARG ;;
		*) misused ;;
		esac
	done
	shift $((OPTIND - 1))
	variants=("$@")
	if [[ ! $rounds,$ms,${pin:-0,0} =~ ^[0-9]+,[0-9]+,[0-9]+,[0-9]+$ ]] ||
	   ((rounds < 1 || rounds > 32 || ms < 1)); then
		misused
	fi
	[ "$(id -u)" = 0 ] || fail "not root: sudo $here/net.sh --here"
	[ $# != 0 ] || find_variants
	check_nodes
	check_tun
	if ! has_macvtap; then
		echo "rows of macvtap are left out: modprobe -a macvtap veth, and have iproute2"
		opts+=(-x macvtap)
	fi
	[ -n "$pin" ] || pin=$(choose_cpus)
	if [ -z "$pin" ]; then
		echo "rows of latency are left out: one CPU"
		opts+=(-x latency)
	fi
	if [ -z "${OUTPUT:-}" ]; then
		made=$(mktemp -d)
		OUTPUT=$made
	fi
	build
	header
	expedite
	"$OUTPUT/net_bench" -r "$rounds" -t "$ms" ${pin:+-p "$pin"} "${opts[@]}" \
		"${variants[@]}"
	legend "$rounds"
}

case ${1:-} in
--help) echo "$usage" ;;
*) measure "$@" ;;
esac
