#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in L1: the kselftests against in-tree vhost_net and against vhx_net in
# one boot; their KTAP goes to $VHX_OUT/<module>.tap. In-tree's is taken from
# $VHX_IN_TREE_TAP if that is there: from a run of the same programs on the same
# kernel. Then some against vhx_net as it is for a client that says nothing of
# workers: vhx_net-workers2.tap. At last the benchmark for any machine, with the
# program in the folder $VHX_BENCH if that is set: here.tap.
# Arguments: the folder of the programs, and programs (all of them).
set -eu

bin=$1
shift
modprobe -a tun tap macvtap

# A write to /out costs two requests to the host, and a test writes many lines:
# they are gathered for a second. What is there when a machine dies says where.
test_module() { # module node stream programs...
	module=$1 node=$2 stream=$3
	shift 3
	: >>"/run/$stream"
	tail ---disable-inotify -s 1 -n +1 -f "/run/$stream" >"$VHX_OUT/$stream" &
	VHX_NODE=$node VHX_MODULE=$module OUTPUT=$bin \
		tools/testing/selftests/vhost/run.sh "$@" >>"/run/$stream" ||
		echo "$module: some tests failed" >&2
	{ kill $! && wait $!; } 2>/dev/null || :
	cp "/run/$stream" "$VHX_OUT/$stream"
	rmmod "$module"
}

test_in_tree() { # programs...
	modprobe vhost_net
	test_module vhost_net /dev/vhost-net vhost_net.tap "$@"
}

if [ -e "${VHX_IN_TREE_TAP:-}" ]; then
	cp "$VHX_IN_TREE_TAP" /run/vhost_net.tap
	cp /run/vhost_net.tap "$VHX_OUT"
else
	test_in_tree "$@"
fi
insmod "$VHX_KO" node=vhost-net-vhx
test_module vhx_net /dev/vhost-net-vhx vhx_net.tap "$@"

again=$(tools/testing/selftests/vhost/tap_diff.py -a -k "${VHX_KERNEL%%-*}" \
	"$VHX_OUT/vhost_net.tap" "$VHX_OUT/vhx_net.tap")
# shellcheck disable=SC2086 # names of programs
[ -z "$again" ] || { echo "in-tree once more: $again"; test_in_tree $again; }

case " $* " in
"  " | *" worker_test "*)
	insmod "$VHX_KO" node=vhost-net-vhx workers=2 fork_from_owner_default=N
	test_module vhx_net /dev/vhost-net-vhx vhx_net-workers2.tap \
		worker_test load_test
	;;
esac

[ -z "${VHX_BENCH:-}" ] ||
	tools/testing/bench/here_test.sh "$VHX_BENCH" >"$VHX_OUT/here.tap" ||
	echo "net.sh --here: some tests failed" >&2
