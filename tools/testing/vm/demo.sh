#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# make demo: a guest on our module and one on in-tree vhost_net, in one boot and
# in turns; ends with a table.  --ours-twice has both on ours, to see how far
# two guests on the same module differ.
set -euo pipefail

vm=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/vm
host=6.1 guest=6.12
modules=(vhx_net vhost_net)

case ${1:-} in
--ours-twice) modules=(vhx_net vhx_net) ;;
'') ;;
*) echo "usage: demo.sh [--ours-twice]" >&2; exit 2 ;;
esac

step() { printf '[%3d s] %s\n' "$SECONDS" "$*"; }

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# apt and make talk a lot; it matters only when they fail
quiet() {
	"$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
	grep '^vm: ' "$log" || true
}

step "packages that are missing"
"$vm" deps >"$log" 2> >(grep '^vm: ' >&2) || { cat "$log" >&2; exit 1; }
step "kernels: Debian's $host for the machine, $guest for the guest"
quiet "$vm" fetch "$host"
quiet "$vm" fetch "$guest"
step "the module, for $host"
quiet "$vm" build "$host"
quiet "$vm" initramfs "$guest"
step "booting $host"
# QEMU's and the build's words go to the log; the run's own go through
status=0
"$vm" run -b -g "$guest" "$host" -- \
	tools/testing/vm/demo-inside.py "${modules[@]}" 2>"$log" || status=$?
if [ $status != 0 ]; then
	cat "$log" >&2
	exit $status
fi
step "done"
