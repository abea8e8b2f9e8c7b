#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in L1, without a vhost module loaded: net.sh --here has rows of all that is
# there, and says what to do about what is not. Nothing depends on a figure. KTAP.
# Argument: the folder of net_bench.
set -u

export OUTPUT=$1
here=$(dirname "$0")/net.sh
count=0
failed=0

# Output of the last run in $said, its status in $status.
try() { # command...
	said=$("$@" --here -r 1 -t 5 -c 'x 64 burst 1' 2>&1)
	status=$?
}

verdict() { # name, is it ok
	local word=ok

	((count++))
	[ "$2" = 0 ] || word="not ok"
	[ "$2" = 0 ] || failed=1
	[ "$2" = 0 ] || echo "# status $status: ${said//$'\n'/$'\n'# }"
	echo "$word $count bench.here.$1"
}

has_rows() { # variants...: of both rows, and of nobody else
	local name

	[ "$status" = 0 ] || return 1
	for name; do
		[ "$(grep -Ec "^.{22}$name +[1-9][0-9]* " <<<"$said")" = 2 ] ||
			return 1
	done
	[ "$(grep -Ec '^.{22}[a-z-]+ +[1-9][0-9]* +[0-9]+\.\.' <<<"$said")" = $((2 * $#)) ]
}

tells() { # text
	[ "$status" = 1 ] && grep -qF -e "$1" <<<"$said"
}

links() {
	ip -o link
	cat /sys/kernel/rcu_expedited
}

echo "1..8"
modprobe -a tun macvtap veth
before=$(links)
try "$here"
tells "neither vhx_net nor vhost_net is loaded"
verdict no_module_is_told_ok $?
modprobe vhost_net
try "$here"
has_rows in-tree && grep -q "vhx is left out: .*insmod" <<<"$said"
verdict in_tree_alone_ok $?
# the folder may be one that nobody else may enter
try unshare -U "$here"
tells "not root: sudo"
verdict not_root_is_told_ok $?
try unshare -m sh -c 'mount -t tmpfs none /dev/net && exec "$@"' sh "$here"
tells "modprobe tun"
verdict no_tun_is_told_ok $?
insmod "$VHX_KO" node=vhost-net-vhx
try "$here"
has_rows in-tree vhx vhx-packed
verdict both_modules_ok $?
rmmod vhost_net
try "$here"
has_rows vhx vhx-packed && grep -q "in-tree is left out: .*modprobe" <<<"$said"
verdict vhx_alone_ok $?
said=$("$here" --here -r 1 -t 5 -c 'rx 64 burst' mine:/dev/vhost-net-vhx 2>&1)
status=$?
grep -Eq "^.{22}mine +[1-9]" <<<"$said"
verdict named_node_ok $?
[ "$before" = "$(links)" ]
verdict nothing_is_left_ok $?
rmmod vhx_net
exit $failed
