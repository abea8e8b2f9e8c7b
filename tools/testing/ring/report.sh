#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#
# Makes one KTAP stream of the logs of several programs.
# Usage: report.sh DIR PROGRAM...	a PROGRAM with a leading - could not run
# A log is DIR/PROGRAM.log, its exit status in DIR/PROGRAM.status.

dir=$1
shift

passed=0
failed=0
skipped=0
n=0

# Sets ok and bad to the results in a log, plan to what was announced.
count() {
	ok=$(grep -c '^ok ' "$1")
	bad=$(grep -c '^not ok ' "$1")
	skip=$(grep -c '^ok .*# SKIP' "$1")
	plan=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$1" | head -n 1)
}

# A fuzzer speaks no KTAP: its whole run is one result.
count_fuzz() {
	ok=1 bad=0 skip=0 plan=1
	grep -q '^Done [0-9]* runs' "$1" || { ok=0 bad=1; }
}

echo "KTAP version 1"
echo "1..$#"
for program; do
	n=$((n + 1))
	name=$(echo "${program#-}" | tr / .)
	if [ "$program" != "${program#-}" ]; then
		skipped=$((skipped + 1))
		case $name in
		*fuzz*) echo "ok $n $name # SKIP no clang with libFuzzer" ;;
		*) echo "ok $n $name # SKIP no gcc -m32 (gcc-multilib) or no kernel for it" ;;
		esac
		continue
	fi
	log=$dir/$program.log
	[ -e "$log" ] || echo "# did not run" >"$log"
	status=$(cat "$dir/$program.status" 2>/dev/null || echo 99)
	echo "  # Subtest: $name"
	case $program in
	*fuzz*)
		count_fuzz "$log"
		if [ "$status" = 0 ]; then
			grep '^Done' "$log" | sed 's/^/  # /'
		else
			tail -n 60 "$log" | sed 's/^/  # /'
		fi
		;;
	*)
		count "$log"
		sed -e '/^# *RUN /d' -e '/^# *OK /d' \
		    -e 's/^TAP version 13/KTAP version 1/' \
		    -e 's/^/  /' "$log"
		;;
	esac
	: "${ok:=0}" "${bad:=0}" "${skip:=0}"
	passed=$((passed + ok - skip))
	failed=$((failed + bad))
	skipped=$((skipped + skip))
	if [ "$status" = 0 ] && [ "$bad" = 0 ] &&
	   [ "$((ok + bad))" = "${plan:-none}" ]; then
		echo "ok $n $name"
	else
		echo "not ok $n $name"
		[ "$bad" = 0 ] && failed=$((failed + 1))
	fi
done
echo "# ring: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
