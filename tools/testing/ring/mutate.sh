#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#
# Do the tests notice? Breaks a copy of the engine in one place at a time and
# runs them, the quick builds first. Usage: mutate.sh DIR [FIRST [LAST]]

here=$(cd "$(dirname "$0")" && pwd)
real=$here/../../../drivers/vhost/ring
dir=$(mkdir -p "$1" && cd "$1" && pwd)
first=${2:-1}
last=${3:-1000}
engine=$dir/engine
missed=0
caught=0
number=0
programs="gcc-none/test_bad gcc-none/test_chain gcc-none/test_packed
	gcc-none/test_packed_chain gcc-none/test_fault gcc-none/test_split
	gcc-none/test_notify gcc-none/test_flow gcc-none/test_random
	gcc-asan/test_bad gcc-asan/test_chain gcc-asan/test_packed_chain
	gcc-asan/test_fault gcc-none/test_soak gcc-tsan/test_race
	gcc-none/test_race"

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
		timeout 100 "$dir/out/$by" >"$dir/test.log" 2>&1 || return 0
	done
	return 1
}

# mutate FILE WHAT SED-EXPRESSION
mutate() {
	number=$((number + 1))
	[ "$number" -ge "$first" ] && [ "$number" -le "$last" ] || return
	cp "$real/$1" "$engine/$1.new"
	sed -i -e "$3" "$engine/$1.new"
	if cmp -s "$engine/$1.new" "$engine/$1"; then
		echo "$number: $2: the engine has no such line any more"
		rm "$engine/$1.new"
		missed=$((missed + 1))
		return
	fi
	mv "$engine/$1.new" "$engine/$1"
	touch "$engine/$1"
	if ! fails "$1"; then
		echo "$number: $2: NOT CAUGHT"
		missed=$((missed + 1))
	elif [ "$by" = "the compiler" ]; then
		echo "$number: $2: does not build"
		missed=$((missed + 1))
	else
		echo "$number: $2: caught by $by"
		caught=$((caught + 1))
	fi
	cp "$real/$1" "$engine/$1"
}

rm -rf "$engine"
mkdir -p "$engine"
cp "$real"/*.[ch] "$engine/"
if [ "$first" = 1 ] && fails all; then
	echo "the tests fail without a mutation: $by, see $dir"
	exit 1
fi

s=split.c
c=chain.c
p=packed.c
mutate $s "head not checked" '/head\[i\] >= ring->num/s/>= ring->num/> 65535/'
mutate $s "head = num passes" '/head\[i\] >= ring->num/s/>=/>/'
mutate $s "index jump not checked" 's/idx - ring->avail_pos) > ring->num/idx - ring->avail_pos) > 65535/'
mutate $s "full ring refused" 's/idx - ring->avail_pos) > ring->num/idx - ring->avail_pos) >= ring->num/'
mutate $s "jump of num + 1 passes" 's/idx - ring->avail_pos) > ring->num/idx - ring->avail_pos) > ring->num + 1/'
mutate $s "index cached before the check" '/^static int read_avail_idx/,/^}/s/if ((u16)(idx/ring->avail_idx = idx; &/'
mutate $s "avail wrap off by one" 's/u16 at = ring->avail_pos \& (ring->num - 1)/u16 at = ring->avail_pos % ring->num ? ring->avail_pos % ring->num : ring->num - 1/'
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
mutate $c "slots counted over bursts" 's/burst->nr_steps = 0;//'
mutate $c "window kept over bursts" 's/burst->direct.nr_window = 0;//'
mutate $c "kind of table kept over bursts" 's/burst->direct.is_indirect = false;//'
mutate $s "arm without barrier" '/^static int split_arm/,/^}/s/virt_mb();//'
mutate $s "call_needed without barrier" '/^static int split_call_needed/,/^}/s/virt_mb();//'
mutate $s "avail_event at the wrong place" 's/USED_RING + sizeof(struct vring_used_elem) \* ring->num/USED_RING + sizeof(struct vring_used_elem) * (ring->num - 1)/'
mutate $s "disarm writes with EVENT_IDX" 's/return ring->has_event_idx ? 0 :$/return 0 ? 0 :/'
mutate $s "flags noted though not written" '/^static int write_flags/,/^}/s/err = store16_release/ring->flags = flags; &/'
mutate $s "calls on empty without a look" '/^static int split_call_needed/,/^}/s/err = read_avail_idx(ring);/err = 0;/'
mutate $s "signalled_pos noted before the read" '/^static int split_call_needed/,/^}/s/virt_mb();/&ring->signalled_pos = new;/'
mutate $s "NO_INTERRUPT inverted" 's/!(val \& VRING_AVAIL_F_NO_INTERRUPT)/!!(val \& VRING_AVAIL_F_NO_INTERRUPT)/'
mutate $s "used index read in host order" '/^static int load16_acquire/,/^}/s/__virtio16_to_cpu(ring->is_le, raw)/raw/'
mutate $s "used len in host order" 's/__cpu_to_virtio32(ring->is_le, used\[i\].len)/used[i].len/'
mutate $s "burst max ignored" 's/min_t(u16, max, ring->avail_idx/min_t(u16, VHX_BURST_MAX, ring->avail_idx/'
mutate $c "next not checked" 's/if (at >= table->nr)/if (at > 70000)/'
mutate $c "next = length passes" 's/if (at >= table->nr)/if (at > table->nr)/'
mutate $c "loop not counted" 's/++steps > table->nr/++steps > 0xfffffff0/'
mutate $c "loop one step late" 's/++steps > table->nr/++steps > table->nr + 1/'
mutate $c "loop one step early" 's/++steps > table->nr/++steps >= table->nr/'
mutate $c "steps not reset at a table" 's/steps = 0;//'
mutate $c "empty slots not counted" 's/if (burst->nr_steps == VHX/if (slot->len \&\& burst->nr_steps == VHX/; s/burst->nr_steps++/burst->nr_steps += !!slot->len/'
mutate $c "1024 slots refused" 's/nr_steps == VHX_SLOTS_MAX/nr_steps == VHX_SLOTS_MAX - 1/'
mutate $c "burst overflows by one" 's/nr_steps == VHX_SLOTS_MAX/nr_steps == VHX_SLOTS_MAX + 1/'
mutate $c "slots kept after an error" 's/burst->nr_slots = first;/;/'
mutate $c "table in table allowed" 's/if (from->is_indirect)/if (0)/'
mutate $c "table with next allowed" '/^static int open_indirect/,/^}/s/slot->flags \& VRING_DESC_F_NEXT/0/'
mutate $c "odd table length allowed" 's/!slot->len || slot->len % size/!slot->len/'
mutate $c "empty table allowed" 's/!slot->len || slot->len % size/slot->len % size/'
mutate $c "long table allowed" 's/slot->len \/ size > VHX_INDIRECT_MAX/0/'
mutate $c "table of 65536 refused" 's/slot->len \/ size > VHX_INDIRECT_MAX/slot->len \/ size >= VHX_INDIRECT_MAX/'
mutate $c "table address may wrap" '/^static int open_indirect/,/^}/s/slot->addr + (slot->len - 1) < slot->addr/0/'
mutate $c "address may wrap" '/^static int add_slot/,/^}/s/slot->addr + (slot->len - 1) < slot->addr/0/'
mutate $c "top of the address space refused" '/^static int add_slot/,/^}/s/slot->addr + (slot->len - 1) < slot->addr/slot->addr + slot->len < slot->addr/'
mutate $c "sum may overflow" 's/\*sum + slot->len < \*sum/0/'
mutate $c "readable after writable allowed" 's/!is_in \&\& chain->nr_in/0/'
mutate $c "empty slots delivered" '/^static int add_slot/,/^}/s/if (!slot->len)/if (0)/'
mutate $c "window one too long" 's/VHX_WINDOW, table->nr - i)/VHX_WINDOW, table->nr - i + 1)/'
mutate $c "window hit one too far" 's/i - table->first >= table->nr_window/i - table->first > table->nr_window/'
mutate $c "window of the ring not told from a table's" '/^static int open_indirect/,/^}/s/table->nr_window = 0;/table->first = 0; table->nr_window = 8;/'
mutate $c "window survives a failed read" 's/table->nr_window = 0;$/;/'
mutate $c "length in host order" 's/__virtio32_to_cpu(ring->is_le, desc->len)/desc->len/'
mutate $c "packed: table in a chain allowed" 's/ring->is_packed \&\& step > 1/0/'
mutate $c "packed: flags of table entries count" 's/slot->flags \&= VRING_DESC_F_WRITE;/;/'
mutate $c "packed: WRITE of table entries ignored" 's/slot->flags \&= VRING_DESC_F_WRITE;/slot->flags = 0;/'
mutate $c "packed: id and flags not swapped" 's/swap(flags, next);/;/'
mutate $c "packed: id of the first" 's/chain->id = cur.next;/if (steps == 1) &/'
mutate $c "packed: count of table entries" 's/ring->is_packed \&\& !table->is_indirect/ring->is_packed/'
mutate $c "packed: count one too many" 's/chain->count = steps;/chain->count = steps + 1;/'
mutate $c "packed: NEXT counts in tables" 's/return \*at < table->nr;/return *at < table->nr \&\& slot->flags \& VRING_DESC_F_NEXT;/'
mutate $c "packed: table one entry short" 's/return \*at < table->nr;/return *at + 1 < table->nr;/'
mutate $c "packed: no way round the end" '/^static bool has_next/,/^}/s/\*at = 0;/;/'
mutate $p "wrap one late" '/^static u16 advance/,/^}/s/index < ring->num/index <= ring->num/'
mutate $p "wrap counter kept" 's/(~pos \& WRAP)/(pos \& WRAP)/'
mutate $p "distance knows one lap" '/^static u32 distance/,/^}/s/ahead += 2 \* ring->num/ahead += ring->num/'
mutate $p "distance knows no wrap" 's/((from ^ to) \& WRAP ? ring->num : 0)/0/'
mutate $p "AVAIL alone counts" 's/(flags \& (F_AVAIL | F_USED)) == (pos \& WRAP ? F_AVAIL : F_USED)/!!(flags \& F_AVAIL) == !!(pos \& WRAP)/'
mutate $p "USED alone counts" 's/(flags \& (F_AVAIL | F_USED)) == (pos \& WRAP ? F_AVAIL : F_USED)/!(flags \& F_USED) == !!(pos \& WRAP)/'
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
mutate $p "flags past the end" 's/(unsigned int)(ring->num - index_of(pos))/(unsigned int)ring->num/'
mutate $p "burst max ignored" 's/part = min3(max - nr,/part = min3(VHX_BURST_MAX - nr,/'
mutate $p "all flags at once" 's/nr ? nr : FLAGS_FIRST/64u/'
mutate $p "flags in one lap" '/^static int load_heads/,/^}/s/pos = advance(ring, pos, part);/pos += part; if (index_of(pos) >= ring->num) pos -= ring->num;/'
mutate $p "stops at the first group" 's/if (!is_available(burst->head\[nr - 1\], pos))/if (1)/'
mutate $p "head not looked at" 's/seen \&\& is_available(burst->head\[at\], pos)/seen/'
mutate $p "room not checked" 's/chain->count <= room/1/'
mutate $p "room one too small" 's/chain->count <= room/chain->count < room/'
mutate $p "room knows nothing out" 's/room = ring->num - distance(ring, ring->used_pos, pos);/room = ring->num;/'
mutate $p "room of the burst not counted" 's/pos, room - at)/pos, room)/'
mutate $p "overlapping chain kept" 's/burst->nr--;//'
mutate $p "slots of an overlapping chain kept" 's/burst->nr_slots = nr_slots;//'
mutate $p "pos of a chain not set" 's/chain->pos = pos;//'
mutate $p "skips one descriptor a chain" 's/at += burst->chain\[burst->nr - 1\].count;/at++;/'
mutate $p "rest not wanted" 's/if (err == -EAGAIN)/if (0)/'
mutate $p "avail_idx not noted" '/^static int packed_fetch/,/^}/s/ring->avail_idx = pos;//'
mutate $p "used flags of the other lap" '/^static __virtio64 encode/,/^}/s/pos \& WRAP ? F_AVAIL | F_USED : 0/pos \& WRAP ? 0 : F_AVAIL | F_USED/'
mutate $p "used without AVAIL" '/^static __virtio64 encode/,/^}/s/F_AVAIL | F_USED/F_USED/'
mutate $p "WRITE always" '/^static __virtio64 encode/,/^}/s/used->len ? VRING_DESC_F_WRITE : 0/VRING_DESC_F_WRITE/'
mutate $p "WRITE never" '/^static __virtio64 encode/,/^}/s/used->len ? VRING_DESC_F_WRITE : 0/0/'
mutate $p "used elements in a row" '/^static int write_used/,/^}/s/used\[i\].count/1/'
mutate $p "used_pos one a buffer" '/^static int packed_complete/,/^}/s/used\[i\].count/1/'
mutate $p "second burst first" 's/write_used(ring, used, first, old)/write_used(ring, used, first, pos)/'
mutate $p "second burst not written" 's/i % VHX_BURST_MAX == 0/0/'
mutate $p "in order: id of the first" 's/write_used(ring, \&used\[nr - 1\], 1, old)/write_used(ring, used, 1, old)/'
mutate $p "in order: written whole" 's/bool is_one_enough = .*/bool is_one_enough = false;/'
mutate $p "one for all, in any order" 's/bool is_one_enough = .*/bool is_one_enough = nr > 1;/'
mutate $p "used_pos advances though writing failed" 's/^	int err = 0;$/&\n	u16 *up = \&ring->used_pos;/; /^static int packed_complete/,/^}/s/if (err)$/if (err) *up = pos;\n	if (err)/'
mutate $p "signalled stays valid for ever" '/^static int packed_complete/,/^}/s/is_signalled_valid = false/is_signalled_valid = ring->is_signalled_valid/'
mutate $p "arm: flags without position" 's/err = store_event(ring, EVENT_POS, ring->avail_idx);/err = 0;/'
mutate $p "arm: event at what was handed back" 's/EVENT_POS, ring->avail_idx)/EVENT_POS, ring->avail_pos)/'
mutate $p "arm: event one late" 's/EVENT_POS, ring->avail_idx)/EVENT_POS, advance(ring, ring->avail_idx, 1))/'
mutate $p "arm: flags without EVENT_IDX" '/^static int packed_arm/,/^}/s/if (ring->has_event_idx)/if (1)/'
mutate $p "arm without barrier" '/^static int packed_arm/,/^}/s/virt_mb();//'
mutate $p "arm does not look again" '/^static int packed_arm/,/^}/s/if (!is_available(flags, ring->avail_idx))/if (1)/'
mutate $p "arm forgets what was handed back" 's/return ring->avail_idx != ring->avail_pos;/return 0;/'
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

echo "$caught caught, $missed not"
[ "$missed" = 0 ]
