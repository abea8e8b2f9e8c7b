#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#
# Do the tests notice? Breaks a copy of the engine in one place at a time and
# runs them, the quick builds first, on each CPU a share of the mutations.
# Usage: mutate.sh DIR [FIRST [LAST]]

here=$(cd "$(dirname "$0")" && pwd)
real=$here/../../../drivers/vhost/ring
dir=$(mkdir -p "$1" && cd "$1" && pwd)
first=${2:-1}
last=${3:-1000}
engine=$dir/engine
jobs=$(nproc)
number=0
total=0
programs="gcc-none/test_bad gcc-none/test_chain gcc-none/test_packed
	gcc-none/test_packed_chain gcc-none/test_fault gcc-none/test_split
	gcc-none/test_notify gcc-none/test_flow gcc-none/test_random
	gcc-asan/test_bad gcc-asan/test_chain gcc-asan/test_packed_chain
	gcc-asan/test_fault gcc-none/test_soak gcc-tsan/test_race
	gcc-none/test_race"

# The first line of a program that fails ends it. A test in an endless loop
# outlives that, but not its CPU time.
# shellcheck disable=SC3045 # dash and bash have it
first_failure() {
	(ulimit -t 10; timeout 100 "$1" || echo "not ok: status $?") 2>&1 |
		grep -m 1 '^not ok'
}

# fails FILE... Return: whether some test fails; names it in $by.
fails() {
	case $1 in
	packed.c) set -- gcc-none/test_packed gcc-none/test_packed_chain ;;
	*) set -- ;;
	esac
	for by in "$@" $programs; do
		make -s -C "$here" OUTPUT="$dir/out" ENGINE="$engine" WERROR= \
			COMPILERS=gcc HAS_FUZZER= "$dir/out/$by" >"$dir/build.log" 2>&1 ||
			{ by="the compiler"; return 0; }
		first_failure "$dir/out/$by" >"$dir/test.log" && return 0
	done
	return 1
}

# mutate FILE WHAT SED-EXPRESSION
mutate() {
	number=$((number + 1))
	[ "$number" -ge "$first" ] && [ "$number" -le "$last" ] || return
	total=$((total + 1))
	[ $((number % jobs)) = "$PART" ] || return
	cp "$real/$1" "$engine/$1.new"
	sed -i -e "$3" "$engine/$1.new"
	if cmp -s "$engine/$1.new" "$engine/$1"; then
		echo "$number: $2: the engine has no such line any more"
		rm "$engine/$1.new"
		return
	fi
	mv "$engine/$1.new" "$engine/$1"
	touch "$engine/$1"
	if ! fails "$1"; then
		echo "$number: $2: NOT CAUGHT"
	elif [ "$by" = "the compiler" ]; then
		echo "$number: $2: does not build"
	else
		echo "$number: $2: caught by $by"
	fi
	cp "$real/$1" "$engine/$1"
}

# Each part has an engine and programs of its own; "none" counts them all.
if [ -z "${PART:-}" ]; then
	for part in $(seq 0 $((jobs - 1))); do
		PART=$part sh "$0" "$dir/$part" "$first" "$last" &
	done | tee "$dir/log"
	PART=none
else
	rm -rf "$engine"
	mkdir -p "$engine"
	cp "$real"/*.[ch] "$engine/"
	if [ "$first" = 1 ] && fails all; then
		echo "the tests fail without a mutation: $by, see $dir"
		exit 1
	fi
fi

s=split.c
c=chain.c
h=chain.h
p=packed.c
mutate $s "head not checked" '/head\[i\] >= num/s/>= num/> 65535/'
mutate $s "head = num passes" '/head\[i\] >= num/s/>=/>/'
mutate $s "index jump not checked" 's/idx - ring->avail_pos) > ring->num/idx - ring->avail_pos) > 65535/'
mutate $s "full ring refused" 's/idx - ring->avail_pos) > ring->num/idx - ring->avail_pos) >= ring->num/'
mutate $s "jump of num + 1 passes" 's/idx - ring->avail_pos) > ring->num/idx - ring->avail_pos) > ring->num + 1/'
mutate $s "index cached before the check" '/^static int read_avail_idx/,/^}/s/if ((u16)(idx/ring->avail_idx = idx; &/'
mutate $s "avail wrap off by one" 's/at = ring->avail_pos \& (num - 1)/at = ring->avail_pos % num ? ring->avail_pos % num : num - 1/'
mutate $s "second part of heads from the wrong place" 's/vhx_mem_read(ring->mem, VHX_DRIVER, AVAIL_RING,$/vhx_mem_read(ring->mem, VHX_DRIVER, AVAIL_RING + 2,/'
mutate $s "used wrap off by one" 's/u16 at = pos \& (ring->num - 1)/u16 at = (pos + 1) \& (ring->num - 1)/'
mutate $s "position advances on error" '/vhx_chain_walk/s/^/ring->avail_pos++; /; s/ring->avail_pos++;$/ring->avail_pos - 1;/'
mutate $s "index published before the entries" '/^static int split_complete/,/^}/s/u16 pos = ring->used_pos;/&\n(void)store16_release(ring, USED_IDX, pos + nr);/'
mutate $s "entry write error ignored" '/^static int split_complete/,/^}/s/if (ret < 0)/if (ret < -1000)/; /^static int split_complete/,/^}/s/done += ret;/done += ret < 0 ? 1 : ret;/'
mutate $s "used_pos advances though publishing failed" '/^static int split_complete/,/^}/s/ret = store16_release(ring, USED_IDX, pos + nr);/ring->used_pos = pos + nr; &/'
mutate $s "signalled stays valid for ever" 's/ring->used_pos - ring->signalled_pos) < nr/ring->used_pos - ring->signalled_pos) < 0/'
mutate $s "signalled invalid one early" 's/ring->used_pos - ring->signalled_pos) < nr/ring->used_pos - ring->signalled_pos) <= nr/'
mutate $s "start keeps signalled" '/^static int split_start/,/^}/s/is_signalled_valid = false/is_signalled_valid = true/'
mutate $s "start sets used from base" 's/ring->used_pos = used;/ring->used_pos = base;/'
mutate $s "start keeps flags" '/^static int split_start/,/^}/s/ring->flags = 0;//'
mutate $s "start writes no flags" '/^static int split_start/,/^}/s/err = store16_release(ring, USED_FLAGS, 0);/err = 0;/'
mutate $s "arm does not look again" '/^static int split_arm/,/^}/s/err = read_avail_idx(ring);/err = 0;/'
mutate $s "arm looks before it asks" '/^static int split_arm/,/^}/{s/int err;/int err = read_avail_idx(ring); if (err) return err;/;s/err = read_avail_idx(ring);$/err = 0;/}'
mutate $s "arm event one late" 's/avail_event_off(ring), ring->avail_idx)/avail_event_off(ring), ring->avail_idx + 1)/'
mutate $s "arm event at what was handed back" 's/avail_event_off(ring), ring->avail_idx)/avail_event_off(ring), ring->avail_pos)/'
mutate $s "handed back on top of a full ring" 's/min_t(u16, nr, ring->num)/nr/'
mutate ring.h "slots counted over bursts" 's/burst->nr_steps = 0;//'
mutate $c "window not moved" 's/walk->first = walk->at;//'
mutate $c "row one too long" 's/walk->steps < walk->nr_desc/walk->steps <= walk->nr_desc/'
mutate $s "arm without barrier" '/^static int split_arm/,/^}/s/virt_mb();//'
mutate $s "call_needed without barrier" '/^static int split_call_needed/,/^}/s/virt_mb();//'
mutate $s "avail_event at the wrong place" 's/USED_RING + sizeof(struct vring_used_elem) \* ring->num/USED_RING + sizeof(struct vring_used_elem) * (ring->num - 1)/'
mutate $s "disarm writes with EVENT_IDX" 's/return ring->has_event_idx ? 0 :$/return 0 ? 0 :/'
mutate $s "flags noted though not written" '/^static int write_flags/,/^}/s/err = store16_release/ring->flags = flags; &/'
mutate $s "calls on empty without a look" '/^static int split_call_needed/,/^}/s/err = read_avail_idx(ring);/err = 0;/'
mutate $s "signalled_pos noted before the read" '/^static int split_call_needed/,/^}/s/virt_mb();/&ring->signalled_pos = new;/'
mutate $s "NO_INTERRUPT inverted" 's/!(val \& VRING_AVAIL_F_NO_INTERRUPT)/!!(val \& VRING_AVAIL_F_NO_INTERRUPT)/'
mutate $s "used index read in host order" '/^static int load16_acquire/,/^}/s/__virtio16_to_cpu(ring->is_le, raw)/raw/'
mutate $s "used len in host order" 's/id << 32 | len)/id << 32 | __builtin_bswap32((u32)len))/'
mutate $s "burst max ignored" 's/min_t(u16, max, ring->avail_idx/min_t(u16, VHX_BURST_MAX, ring->avail_idx/'
mutate $c "next not checked" 's/if (walk->at >= walk->nr)/if (walk->at > 70000)/'
mutate $c "next = length passes" 's/if (walk->at >= walk->nr)/if (walk->at > walk->nr)/'
mutate $c "loop not counted" 's/walk->steps == walk->nr/0/'
mutate $c "loop one step late" 's/walk->steps == walk->nr/walk->steps == walk->nr + 1/'
mutate $c "loop one step early" 's/walk->steps == walk->nr/walk->steps + 1 == walk->nr/'
mutate $c "steps not reset at a table" 's/walk->steps = 0;//'
mutate $c "empty slots not counted" 's/if (!walk->steps_left)/if (slot->len \&\& !walk->steps_left)/; s/walk->steps_left--/walk->steps_left -= !!slot->len/'
mutate $c "1024 slots refused" 's/if (!walk->steps_left)/if (walk->steps_left == 1)/'
mutate $c "burst overflows by one" 's/VHX_SLOTS_MAX - burst->nr_steps/VHX_SLOTS_MAX + 1 - burst->nr_steps/'
mutate $c "table in table allowed" '/^static .* open_indirect/,/^}/s/if (walk->is_indirect)/if (0)/'
mutate $c "table with next allowed" '/^static .* open_indirect/,/^}/s/slot->flags \& VRING_DESC_F_NEXT/0/'
mutate $c "odd table length allowed" 's/!slot->len || slot->len % size/!slot->len/'
mutate $c "empty table allowed" 's/!slot->len || slot->len % size/slot->len % size/'
mutate $c "long table allowed" 's/slot->len \/ size > VHX_INDIRECT_MAX/0/'
mutate $c "table of 65536 refused" 's/slot->len \/ size > VHX_INDIRECT_MAX/slot->len \/ size >= VHX_INDIRECT_MAX/'
mutate $c "table address may wrap" '/^static .* open_indirect/,/^}/s/vhx_chain_wraps(slot)/0/'
mutate $h "address may wrap" 's/slot->addr + (slot->len - 1) < slot->addr/0/'
mutate $h "top of the address space refused" 's/slot->addr + (slot->len - 1) < slot->addr/slot->addr + slot->len < slot->addr/'
mutate $c "sum may overflow" 's/sum < slot->len/0/'
mutate $c "readable after writable allowed" 's/!is_in \&\& chain->nr_in/0/'
mutate $c "empty slots delivered" 's/if (!slot->len)/if (0)/'
mutate $h "empty slots in a run" 's/!slot->len || vhx_chain_wraps/vhx_chain_wraps/'
mutate $h "linked slots in a run" 's/slot->flags \& (VRING_DESC_F_NEXT |/0 \& (VRING_DESC_F_NEXT |/'
mutate $h "run overflows by one" 's/VHX_SLOTS_MAX - burst->nr_steps/VHX_SLOTS_MAX + 1 - burst->nr_steps/'
mutate $c "window one too long" 's/VHX_WINDOW, walk->nr - walk->at)/VHX_WINDOW, walk->nr - walk->at + 1)/'
mutate $c "window hit one too far" 's/walk->at - walk->first >= walk->nr_window/walk->at - walk->first > walk->nr_window/'
mutate $h "length in host order" 's/__virtio32_to_cpu(is_le, desc->len)/desc->len/'
mutate $c "packed: table in a chain allowed" 's/walk->is_packed \&\& walk->steps > 1/0/'
mutate $c "packed: flags of table entries count" 's/walk->slot->flags \&= VRING_DESC_F_WRITE;/;/'
mutate $c "packed: WRITE of table entries ignored" 's/slot->flags \&= VRING_DESC_F_WRITE;/slot->flags = 0;/'
mutate $h "packed: id and flags not swapped" 's/swap(flags, next);/;/'
mutate $c "packed: id of the first" 's/walk->chain.id = next;/if (walk->steps == 1) &/'
mutate $c "packed: count of table entries" 's/walk->is_packed \&\& !walk->is_indirect/walk->is_packed/'
mutate $c "packed: count one too many" 's/walk->chain.count = walk->steps;/walk->chain.count = walk->steps + 1;/'
mutate $c "packed: NEXT counts in tables" 's/return walk->at < walk->nr;/return walk->at < walk->nr \&\& flags \& VRING_DESC_F_NEXT;/'
mutate $c "packed: table one entry short" 's/return walk->at < walk->nr;/return walk->at + 1 < walk->nr;/'
mutate $c "packed: no way round the end" '/^static .* has_next/,/^}/s/walk->at = 0;/;/'
mutate $p "wrap one late" '/^static u16 advance/,/^}/s/index < ring->num/index <= ring->num/'
mutate $p "wrap counter kept" 's/(~pos \& WRAP)/(pos \& WRAP)/'
mutate $p "distance knows one lap" '/^static u32 distance/,/^}/s/ahead += 2 \* ring->num/ahead += ring->num/'
mutate $p "distance knows no wrap" 's/((from ^ to) \& WRAP ? ring->num : 0)/0/'
mutate $p "AVAIL alone counts" 's/(IS_LE, F_AVAIL | F_USED)/(IS_LE, F_AVAIL)/; s/pos \& WRAP ? F_AVAIL : F_USED/pos \& WRAP ? F_AVAIL : 0/'
mutate $p "USED alone counts" 's/(IS_LE, F_AVAIL | F_USED)/(IS_LE, F_USED)/; s/pos \& WRAP ? F_AVAIL : F_USED/pos \& WRAP ? 0 : F_USED/'
mutate $p "start takes avail for used" 's/used = base >> 16;/used = base;/'
mutate $p "start without upper half" 's/if (!used)/if (0)/'
mutate $p "start: avail not checked" 's/index_of(avail) >= ring->num ||/0 ||/'
mutate $p "start: used not checked" 's/index_of(used) >= ring->num ||/0 ||/'
mutate $p "start: distance not checked" 's/distance(ring, used, avail) > ring->num)/0)/'
mutate $p "start: full ring refused" 's/distance(ring, used, avail) > ring->num)/distance(ring, used, avail) >= ring->num)/'
mutate $p "start writes no flags" 's/err = store_event(ring, EVENT_FLAGS, VRING_PACKED_EVENT_FLAG_ENABLE);/err = 0;/'
mutate $p "start keeps flags" 's/ring->flags = VRING_PACKED_EVENT_FLAG_ENABLE;//'
mutate $p "start keeps signalled" '/^static int packed_start/,/^}/s/is_signalled_valid = false/is_signalled_valid = true/'
mutate $p "start keeps avail_idx" 's/ring->avail_idx = avail;//'
mutate $p "start knows no format" 's/ring->is_packed = true;//'
mutate $p "base of avail alone" 's/| (u32)ring->used_pos << 16;/| (u32)ring->avail_pos << 16;/'
mutate $p "more flags than the ring" 's/max = min_t(unsigned int, max, ring->num);//'
mutate $p "flags past the end" 's/min(max, to_end)/max/'
mutate $p "burst max ignored" '/^static int look_ahead/,/^}/s/min_t(unsigned int, max, /min_t(unsigned int, VHX_BURST_MAX, /'
mutate $p "flags in one lap" 's/advance(ring, pos, nr), max - nr/pos \& WRAP, max - nr/'
mutate $p "stops at the end of the ring" 's/if (nr < 0 || max <= to_end/if (1 || max <= to_end/'
mutate $p "head not looked at" 's/__cpu_to_virtio16(IS_LE, F_AVAIL | F_USED),/0,/; s/__cpu_to_virtio16(IS_LE, want))/0)/'
mutate $p "room not checked" 's/chain->count > room - at/0/'
mutate $p "room of a run not checked" 's/min3(nr - at, room - at, to_end)/min(nr - at, to_end)/'
mutate $p "end of the ring in a run" 's/min3(nr - at, room - at, to_end)/min(nr - at, room - at)/'
mutate $p "room one too small" 's/chain->count > room - at/chain->count >= room - at/'
mutate $p "room knows nothing out" 's/room = ring->num - distance(ring, ring->used_pos, ring->avail_pos);/room = ring->num;/'
mutate $p "room of the burst not counted" 's/chain->count > room - at/chain->count > room/'
mutate $p "overlapping chain kept" 's/burst->nr--;//'
mutate $p "slots of an overlapping chain kept" 's/burst->nr_slots = chain->slot - burst->slot;//'
mutate $p "row read past the end" 's/desc + part,/desc,/'
mutate $c "pos of a chain not set" 's/chain->pos = ring->avail_pos;//'
mutate $h "pos of a run not counted" 's/chain->pos = pos++;/chain->pos = pos;/'
mutate $p "skips one descriptor a chain" 's/at += chain->count;/at++;/'
mutate $p "one row is all" 's/nr == (int)want \&\& burst->nr < max/0/'
mutate $p "rest not wanted" 's/if (err == -EAGAIN)/if (0)/'
mutate $p "avail_idx not noted" '/^static int fetch_row/,/^}/s/ring->avail_idx = ring->avail_pos;//'
mutate $p "used flags of the other lap" '/^static int packed_complete/,/^}/s/old \& WRAP ? F_AVAIL | F_USED : 0/old \& WRAP ? 0 : F_AVAIL | F_USED/'
mutate $p "used without AVAIL" '/^static int packed_complete/,/^}/s/WRAP ? F_AVAIL | F_USED/WRAP ? F_USED/'
mutate $p "WRITE always" '/^static __virtio64 encode/,/^}/s/if (used->len)/if (1)/'
mutate $p "WRITE never" '/^static __virtio64 encode/,/^}/s/if (used->len)/if (0)/'
mutate $p "used: lap not counted" '/^static int packed_complete/,/^}/s/flags ^= F_AVAIL | F_USED;//'
mutate $p "used elements in a row" '/^static int packed_complete/,/^}/s/used\[i\].count/1/'
mutate $p "used_pos in the other lap" 's/index | (flags ? WRAP : 0)/index | (flags ? 0 : WRAP)/'
mutate $p "in order: id of the first" 's/encode(\&used\[nr - 1\], first)/encode(used, first)/'
mutate $p "in order: counter of the next one" 's/encode(\&used\[nr - 1\], first)/encode(\&used[nr - 1], flags)/'
mutate $p "in order: written whole" 's/if (vhx_ring_is_one_enough(ring, used, nr))/if (0)/'
mutate $p "one for all, in any order" 's/if (vhx_ring_is_one_enough(ring, used, nr))/if (nr > 1)/'
mutate $p "used_pos advances though writing failed" '/^static int packed_complete/,/^}/s/if (err)$/if (err) ring->used_pos = pos;\n	&/'
mutate $p "signalled stays valid for ever" '/^static int packed_complete/,/^}/s/is_signalled_valid = false/is_signalled_valid = ring->is_signalled_valid/'
mutate $p "arm: flags without position" 's/err = store_event(ring, EVENT_POS, ring->avail_idx);/err = 0;/'
mutate $p "arm: event at what was handed back" 's/EVENT_POS, ring->avail_idx)/EVENT_POS, ring->avail_pos)/'
mutate $p "arm: event one late" 's/EVENT_POS, ring->avail_idx)/EVENT_POS, advance(ring, ring->avail_idx, 1))/'
mutate $p "arm: flags without EVENT_IDX" '/^static int packed_arm/,/^}/s/if (ring->has_event_idx && !ret)/if (!ret)/'
mutate $p "arm without barrier" '/^static int packed_arm/,/^}/s/virt_mb();//'
mutate $p "arm does not look again" '/^static int packed_arm/,/^}/s/if (!ret)/if (1)/'
mutate $p "arm forgets what was handed back" 's/return ring->avail_idx != ring->avail_pos;/return 0;/'
mutate $p "arm takes back for a moment" '/^static int packed_arm/,/^}/s/ring->flags == want)/0)/'
mutate $p "arm leaves an event behind" 's/err = store_event_flags(ring, VRING_PACKED_EVENT_FLAG_ENABLE);/err = 0;/'
mutate $p "arm enables after a hand-back" 's/return ring->avail_idx != ring->avail_pos;/if (ring->avail_idx == ring->avail_pos) return 0;/'
mutate $p "disarm does nothing" 's/return store_event_flags(ring, VRING_PACKED_EVENT_FLAG_DISABLE);/return 0;/'
mutate $p "disarm forgets the event" '/^static int packed_disarm/,/^}/s/if (ring->flags == VRING_PACKED_EVENT_FLAG_DESC)/if (0)/'
mutate $p "flags noted though not written" '/^static int store_event_flags/,/^}/s/err = store_event/ring->flags = flags; &/'
mutate $p "flags written each time" 's/if (ring->flags == flags)/if (0)/'
mutate $p "call_needed without barrier" '/^static int packed_call_needed/,/^}/s/virt_mb();//'
mutate $p "reserved bits of the flags count" 's/flags \&= EVENT_FLAGS_MASK;//'
mutate $p "DISABLE calls" 's/is_needed = flags != VRING_PACKED_EVENT_FLAG_DISABLE;/is_needed = true;/'
mutate $p "event without EVENT_IDX" 's/if (ring->has_event_idx \&\& flags == /if (flags == /'
mutate $p "first call not made" 's/is_needed = !ring->is_signalled_valid ||/is_needed =/'
mutate $p "event one too far" 's/distance(ring, old, event) < distance/distance(ring, old, event) <= distance/'
mutate $p "signalled noted before the read" '/^static int packed_call_needed/,/^}/s/virt_mb();/&ring->signalled_pos = new;/'
mutate $p "signalled not noted" 's/ring->signalled_pos = new;//'
mutate $p "signalled not valid" '/^static int packed_call_needed/,/^}/s/ring->is_signalled_valid = true;//'

[ "$PART" = none ] || exit 0
caught=$(grep -c ': caught by' "$dir/log")
echo "$caught caught, $((total - caught)) not"
[ "$caught" = "$total" ]
