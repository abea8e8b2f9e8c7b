#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#
# Runs in L1, whose kernel takes programs of 32 bits: those that
# `make OUTPUT=DIR m32` built.
# Usage: m32.sh DIR

mkdir -p "$VHX_OUT/gcc-m32"
set -- "$1"/gcc-m32/test_*
for program; do
	shift
	[ -x "$program" ] || continue
	name=gcc-m32/${program##*/}
	set -- "$@" "$name"
	"$program" >"$VHX_OUT/$name.log" 2>&1
	echo $? >"$VHX_OUT/$name.status"
done
exec sh "${0%/*}/report.sh" "$VHX_OUT" "$@"
