#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# make demo: one guest through our module and, in the same boot, through
# in-tree vhost_net; ends with a table.  --in-tree-twice leaves ours out, to
# see how far two runs of the same module differ.
set -euo pipefail

vm=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/vm
host=6.1 guest=6.12
modules=(vhx_net vhost_net)
build=(-b)

case ${1:-} in
--in-tree-twice) modules=(vhost_net vhost_net) build=() ;;
'') ;;
*) echo "usage: demo.sh [--in-tree-twice]" >&2; exit 2 ;;
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
if [ ${#build[@]} -gt 0 ]; then
	step "the module, for $host"
	quiet "$vm" build "$host"
fi
quiet "$vm" initramfs "$guest"
step "booting $host"
# QEMU's and the build's words go to the log; the run's own go through
status=0
"$vm" run "${build[@]}" -g "$guest" -t 280 "$host" -- \
	tools/testing/vm/demo-inside.py "${modules[@]}" 2>"$log" || status=$?
if [ $status != 0 ]; then
	cat "$log" >&2
	exit $status
fi
step "done"
