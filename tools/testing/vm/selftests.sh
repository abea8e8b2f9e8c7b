#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in L1: the kselftests against in-tree vhost_net and against vhx_net in
# one boot; their KTAP goes to $VHX_OUT/<module>.tap. Arguments: the folder of
# the programs, and programs (all of them).
set -eu

bin=$1
shift
modprobe -a tun tap macvtap vhost_net
insmod "$VHX_KO" node=vhost-net-vhx

test_module() { # module node programs...
	module=$1 node=$2
	shift 2
	VHX_NODE=$node VHX_MODULE=$module OUTPUT=$bin \
		tools/testing/selftests/vhost/run.sh "$@" \
		>"$VHX_OUT/$module.tap" || echo "$module: some tests failed"
	rmmod "$module"
}

test_module vhost_net /dev/vhost-net "$@"
test_module vhx_net /dev/vhost-net-vhx "$@"
