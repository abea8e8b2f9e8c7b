#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in L1: the kselftests against in-tree vhost_net and against vhx_net in
# one boot; their KTAP goes to $VHX_OUT/<module>.tap. Then some against vhx_net
# as it is for a client that says nothing of workers: vhx_net-workers2.tap.
# Arguments: the folder of the programs, and programs (all of them).
set -eu

bin=$1
shift
modprobe -a tun tap macvtap vhost_net
insmod "$VHX_KO" node=vhost-net-vhx

test_module() { # module node tap programs...
	module=$1 node=$2 tap=$3
	shift 3
	VHX_NODE=$node VHX_MODULE=$module OUTPUT=$bin \
		tools/testing/selftests/vhost/run.sh "$@" \
		>"$VHX_OUT/$tap.tap" || echo "$tap: some tests failed"
	rmmod "$module"
}

test_module vhost_net /dev/vhost-net vhost_net "$@"
test_module vhx_net /dev/vhost-net-vhx vhx_net "$@"

case " $* " in
"  " | *" worker_test "*)
	insmod "$VHX_KO" node=vhost-net-vhx workers=2 fork_from_owner_default=N
	test_module vhx_net /dev/vhost-net-vhx vhx_net-workers2 worker_test \
		load_test
	;;
esac
