#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs the tests of /dev/vhost-net as one KTAP stream on stdout.
#
#   VHX_NODE    node to test (/dev/vhost-net)
#   VHX_MODULE  module behind it (guessed from the node)
#   VHX_SLOW    factor of all that has a deadline, for slow kernels (1)
#   OUTPUT      where the programs are (beside this script)
#
#   run.sh [PROGRAM...]     default: all of them
#
# Exit status: 0 all passed, 1 something failed, 4 nothing to test.

here=$(cd "$(dirname "$0")" && pwd)
bin=${OUTPUT:-$here}
VHX_NODE=${VHX_NODE:-/dev/vhost-net}
export VHX_NODE
# shellcheck disable=SC2046 # names without blanks
[ $# -gt 0 ] || set -- $(cd "$bin" && ls -d -- *_test)

modprobe tun 2>/dev/null
modprobe macvtap 2>/dev/null
echo "KTAP version 1"
if [ ! -c "$VHX_NODE" ]; then
	echo "1..0 # SKIP $VHX_NODE is not there"
	exit 4
fi
echo "1..$#"
echo "# node: $VHX_NODE, kernel: $(uname -r)"

# Taps come and go all the time: grace periods are most of a test's time.
rcu=$(cat /sys/kernel/rcu_expedited 2>/dev/null || echo 0)
echo 1 >/sys/kernel/rcu_expedited 2>/dev/null
trap 'echo "$rcu" >/sys/kernel/rcu_expedited 2>/dev/null' EXIT
# shellcheck disable=SC3045 # dash has it too
ulimit -c 0

n=0
failed=0
for prog in "$@"; do
	n=$((n + 1))
	echo "    # Subtest: $prog"
	from=$(date +%s)
	status=$( { { "$bin/$prog" 2>&1; echo $? >&3; } |
		stdbuf -oL sed 's/^/    /' >&4; } 3>&1 ) 4>&1
	echo "# $prog: $(($(date +%s) - from)) s"
	if [ "$status" = 0 ]; then
		echo "ok $n $prog"
	else
		echo "not ok $n $prog"
		failed=1
	fi
done
exit $failed
