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
# outlives that, but not its CPU time; of others' there may be little left.
# shellcheck disable=SC3045 # dash and bash have it
first_failure() {
	(ulimit -t 10; timeout 1000 "$1" || echo "not ok: status $?") 2>&1 |
		grep -m 1 '^not ok'
}

# fails FILE... Return: whether some test fails; names it in $by.
fails() {
	case $1 in
	packed.c) set -- gcc-none/test_packed gcc-none/test_packed_chain ;;
	ring.h | chain.h) set -- gcc-none/test_flow ;;
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
r=ring.h
mutate $s "head not checked" '/head\[i\] >= num/s/>= num/> 65535/'
mutate $s "head = num passes" '/head\[i\] >= num/s/>=/>/'
mutate $s "index jump not checked" 's/idx - ring->avail_pos) > ring->num/idx - ring->avail_pos) > 65535/'
mutate $s "full ring refused" 's/idx - ring->avail_pos) > ring->num/idx - ring->avail_pos) >= ring->num/'
mutate $s "jump of num + 1 passes" 's/idx - ring->avail_pos) > ring->num/idx - ring->avail_pos) > ring->num + 1/'
mutate $s "index cached before the check" '/^static int read_avail_idx/,/^}/s/if ((u16)(idx/ring->avail_idx = idx; &/'
mutate $s "avail wrap off by one" 's/at = ring->avail_pos \& (num - 1)/at = ring->avail_pos % num ? ring->avail_pos % num : num - 1/'
mutate $s "second part of heads from the wrong place" 's/vhx_mem_read(ring->mem, VHX_DRIVER, AVAIL_RING,$/vhx_mem_read(ring->mem, VHX_DRIVER, AVAIL_RING + 2,/'
mutate $s "used wrap off by one" 's/u16 at = pos \& (ring->num - 1)/u16 at = (pos + 1) \& (ring->num - 1)/'
mutate $c "position advances on error" '/^static .* add_chains/,/^}/s/return err;/return ring->avail_pos++, err;/'
mutate $s "index published before the entries" '/^static int split_complete/,/^}/s/u16 pos = ring->used_pos;/&\n(void)store16_release(ring, USED_IDX, pos + nr);/'
mutate $s "entry write error ignored" '/^static int split_complete/,/^}/s/if (ret < 0)/if (ret < -1000)/; /^static int split_complete/,/^}/s/done += ret;/done += ret < 0 ? 1 : ret;/'
mutate $s "used_pos advances though publishing failed" '/^static int split_complete/,/^}/s/ret = store16_release(ring, USED_IDX, pos + nr);/ring->used_pos = pos + nr; &/'
mutate $s "signalled stays valid for ever" 's/ring->used_pos - ring->signalled_pos) < nr/ring->used_pos - ring->signalled_pos) < 0/'
mutate $s "signalled invalid one early" 's/ring->used_pos - ring->signalled_pos) < nr/ring->used_pos - ring->signalled_pos) <= nr/'
mutate $s "start keeps signalled" '/^static int split_start/,/^}/s/is_signalled_valid = false/is_signalled_valid = true/'
mutate $s "start sets used from base" 's/ring->used_pos = used;/ring->used_pos = base;/'
mutate $s "start keeps flags" '/^static int split_start/,/^}/s/ring->flags = 0;//'
mutate $s "start knows no format" 's/ring->is_packed = false;//'
mutate $s "start writes no flags" '/^static int split_start/,/^}/s/err = store16_release(ring, USED_FLAGS, 0);/err = 0;/'
mutate $s "arm does not look again" '/^static int split_arm/,/^}/s/err = read_avail_idx(ring);/err = 0;/'
mutate $s "arm looks before it asks" '/^static int split_arm/,/^}/{s/int err;/int err = read_avail_idx(ring); if (err) return err;/;s/err = read_avail_idx(ring);$/err = 0;/}'
mutate $s "arm event one late" 's/avail_event_off(ring), ring->avail_idx)/avail_event_off(ring), ring->avail_idx + 1)/'
mutate $s "arm event at what was handed back" 's/avail_event_off(ring), ring->avail_idx)/avail_event_off(ring), ring->avail_pos)/'
mutate $s "handed back on top of a full ring" 's/min_t(u16, nr, ring->num)/nr/'
mutate $c "window not moved" 's/first = at;/;/'
mutate $c "row one too long" 's/if (steps < nr)/if (steps <= nr)/'
mutate $c "row as long as that of the first" 's/is_packed ? nr - at : 1,/is_packed ? nr : 1,/'
mutate $c "heads taken for a row" 's/is_packed ? nr - at : 1,/nr - at,/'
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
mutate $c "next not checked" 's/unlikely(at >= ring->num)/0/'
mutate $c "next in a table not checked" 's/unlikely(at >= (u32)nr)/0/'
mutate $c "next = num passes" 's/at >= ring->num/at > ring->num/'
mutate $c "next = length of a table passes" 's/at >= (u32)nr/at > (u32)nr/'
mutate $c "loop not counted" 's/steps == ring->num/0/'
mutate $c "loop in a table not counted" 's/steps == (u32)nr/0/'
mutate $c "loop one step late" 's/steps == ring->num/steps == ring->num + 1u/'
mutate $c "loop in a table one step late" 's/steps == (u32)nr/steps == (u32)nr + 1/'
mutate $c "loop one step early" 's/steps == ring->num/steps + 1 == ring->num/'
mutate $c "loop in a table one step early" 's/steps == (u32)nr/steps + 1 == (u32)nr/'
mutate $c "empty slots not counted" 's/unlikely(!walk->steps_left)/len \&\& !walk->steps_left/; s/walk->steps_left--/walk->steps_left -= !!len/'
mutate $c "1024 slots refused" 's/unlikely(!walk->steps_left)/walk->steps_left == 1/'
mutate $c "steps of a chain not kept" 's/burst->nr_steps = VHX_SLOTS_MAX - walk.steps_left;//'
mutate $c "slots of a chain not kept" 's/burst->nr_slots = walk.slot - burst->slot;//'
mutate $c "burst overflows by one" 's/VHX_SLOTS_MAX - burst->nr_steps/VHX_SLOTS_MAX + 1 - burst->nr_steps/'
mutate $c "table in table allowed" 's/walk->slot->flags \& VRING_DESC_F_INDIRECT/0/'
mutate $c "table with next allowed" '/^static .* count_entries/,/^}/s/slot->flags \& VRING_DESC_F_NEXT/0/'
mutate $c "odd table length allowed" 's/!slot->len || slot->len % size/!slot->len/'
mutate $c "empty table allowed" 's/!slot->len || slot->len % size/slot->len % size/'
mutate $c "long table allowed" 's/slot->len \/ size > VHX_INDIRECT_MAX/0/'
mutate $c "table of 65536 refused" 's/slot->len \/ size > VHX_INDIRECT_MAX/slot->len \/ size >= VHX_INDIRECT_MAX/'
mutate $c "table address may wrap" '/^static .* count_entries/,/^}/s/vhx_chain_wraps(slot)/0/'
mutate $h "address may wrap" 's/slot->addr + (slot->len - 1) < slot->addr/0/'
mutate $h "top of the address space refused" 's/slot->addr + (slot->len - 1) < slot->addr/slot->addr + slot->len < slot->addr/'
mutate $c "sum may overflow" 's/(is_in ? walk->in_len : walk->out_len) < len/0/'
mutate $c "sum of both parts" 's/(is_in ? walk->in_len : walk->out_len) < len/walk->in_len + walk->out_len < len/'
mutate $c "readable after writable allowed" 's/!is_in \&\& walk->nr_in/0/'
mutate $c "empty slots delivered" 's/unlikely(!len)/0/'
mutate $h "plain: empty" 's/vhx_plain_len(&desc\[i\]) <= addr/vhx_plain_len(\&desc[i]) < addr/'
mutate $h "plain: address may wrap" 's/addr + vhx_plain_len(&desc\[i\]) <= addr/!vhx_plain_len(\&desc[i])/'
mutate $h "plain: with a next" 's/mask = VRING_DESC_F_NEXT | /mask = /'
mutate $h "plain: tables" 's/mask = VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT/mask = VRING_DESC_F_NEXT/'
mutate $h "plain: of both directions" 's/\& mask) !=$/\& mask \& ~VRING_DESC_F_WRITE) !=/; s/kind || addr/0 || addr/'
mutate $h "plain: readable ones alone" 's/desc) \& VRING_DESC_F_WRITE;/desc) \& 0;/'
mutate $h "plain: direction of the last row" 's/, desc) \& VRING_DESC_F_WRITE/, desc + burst->nr_plain) \& VRING_DESC_F_WRITE/'
mutate $h "plain: all writable" 's/is_plain_in = kind;/is_plain_in = true;/'
mutate $h "plain: all readable" 's/is_plain_in = kind;/is_plain_in = false;/'
mutate $h "plain: of the other byte order" 's/unlikely(!vhx_chain_is_native(ring, is_packed))/0/'
mutate $h "plain: none" 's/unlikely(!vhx_chain_is_native(ring, is_packed))/1/'
mutate $h "plain: number not kept" 's/burst->nr_plain = i;//'
mutate $h "plain: slots not counted" 's/burst->nr_slots = i;//'
mutate $h "plain: steps not counted" 's/burst->nr_steps = i;//'
mutate $h "plain: pos not set" 's/burst->pos = ring->avail_pos;/;/'
mutate $h "plain: pos of the last row" 's/if (!i)$/if (1)/'
mutate $h "plain: past the end of the ring" 's/vhx_packed_advance(ring, burst->pos, i) :/(u16)(burst->pos + i) :/'
mutate $h "plain: packed id of the flags" 's/(__force u16)desc\[i\].flags :/(__force u16)desc[i].next :/'
mutate $h "plain: split id is a number" 's/burst->head\[i\],/i,/'
mutate $h "plain: id of the first" 's/desc\[i\].flags :/desc->flags :/; s/burst->head\[i\],/burst->head[0],/'
mutate $h "plain: takes no position" 's/\.count = 1,/.count = 0,/'
mutate $h "plain: length not 0" 's/\.count = 1,/.count = 1, .len = vhx_plain_len(\&desc[i]),/'
mutate $c "window one too long" 's/VHX_WINDOW, nr - at)/VHX_WINDOW, nr - at + 1)/'
mutate $c "window hit one too far" 's/at - first >= nr_window/at - first > nr_window/'
mutate $h "length in host order" 's/__virtio32_to_cpu(is_le, desc->len)/desc->len/'
mutate $c "packed: table in a chain allowed" 's/is_packed \&\& steps > 1/0/'
mutate $c "packed: flags of table entries count" 's/walk->slot->flags \&= VRING_DESC_F_WRITE;/;/'
mutate $c "packed: WRITE of table entries ignored" 's/slot->flags \&= VRING_DESC_F_WRITE;/slot->flags = 0;/'
mutate $h "packed: id and flags not swapped" 's/swap(flags, next);/;/'
mutate $c "packed: id of the first" 's/used->id = walk->slot->next;/if (steps == 1) &/'
mutate $c "packed: count of table entries" 's/return walk_table(/if (is_packed) used->count = walk->slot->len \/ 16; &/'
mutate $c "packed: count one too many" 's/used->count = steps;/used->count = steps + 1;/'
mutate $c "chains take no position" 's/{ .id = head, .count = 1 }/{ .id = head }/'
mutate $c "chains: length not 0" 's/{ .id = head, .count = 1 }/{ .id = head, .count = 1, .len = 1 }/'
mutate $c "packed: NEXT counts in tables" 's/flags \&= VRING_DESC_F_WRITE/flags \&= VRING_DESC_F_WRITE | VRING_DESC_F_NEXT/; s/++at == (u32)nr :/++at == (u32)nr || !(walk->slot->flags \& VRING_DESC_F_NEXT) :/'
mutate $c "packed: table one entry short" 's/++at == (u32)nr/++at + 1 >= (u32)nr/'
mutate $c "packed: no way round the end" 's/++at == ring->num/++at > ring->num/'
mutate $p "distance knows one lap" '/^static u32 distance/,/^}/s/ahead += 2 \* ring->num/ahead += ring->num/'
mutate $p "distance knows no wrap" 's/((from ^ to) \& VHX_WRAP ? ring->num : 0)/0/'
mutate $p "AVAIL alone counts" 's/(IS_LE, F_AVAIL | F_USED)/(IS_LE, F_AVAIL)/; s/pos \& VHX_WRAP ? F_AVAIL : F_USED/pos \& VHX_WRAP ? F_AVAIL : 0/'
mutate $p "USED alone counts" 's/(IS_LE, F_AVAIL | F_USED)/(IS_LE, F_USED)/; s/pos \& VHX_WRAP ? F_AVAIL : F_USED/pos \& VHX_WRAP ? 0 : F_USED/'
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
mutate $p "row past the end" '/want = min(max - burst->nr,/{N;s/min(.*/max - burst->nr;/}'
mutate $p "burst max ignored" 's/want = min(max - /want = min(VHX_BURST_MAX - /'
mutate $p "burst max anew for each row" 's/want = min(max - burst->nr,/want = min(max,/'
mutate $p "rows in one lap" '/^static int read_row/,/^}/s/available_at(pos)/available_at(pos | VHX_WRAP)/'
mutate $p "stops at the end of the ring" 's/ \&\& burst->nr < max/& \&\& index_of(ring->avail_pos)/'
mutate $p "goes on at the end of the ring alone" 's/ \&\& burst->nr < max/& \&\& !index_of(ring->avail_pos)/'
mutate $p "goes on though fewer were there" 's/ \&\& nr == (int)want/ \&\& nr/'
mutate $p "row on top of plain buffers" 's/\&burst->desc\[burst->nr_plain\]/burst->desc/'
mutate $p "row behind all buffers" 's/\&burst->desc\[burst->nr_plain\]/\&burst->desc[burst->nr]/'
mutate $p "plain behind chains" 's/if (burst->nr == at)/if (1)/'
mutate $p "plain in the first row alone" 's/if (burst->nr == at)/if (!burst->nr)/'
mutate $p "head not looked at" '/^static int read_row/,/^}/{s/__cpu_to_virtio16(IS_LE, F_AVAIL | F_USED)/0/;s/available_at(pos)/0/}'
mutate $c "room not checked" 's/unlikely(count > room - at)/0/'
mutate $p "room of plain buffers not checked" 's/true, min(nr, room))/true, nr)/'
mutate $p "room without what is plain already" 's/room = at + ring->num/room = ring->num/'
mutate $c "room one too small" 's/count > room - at/count >= room - at/'
mutate $p "room knows nothing out" 's/room = at + ring->num - .*;/room = at + ring->num;/'
mutate $c "room of the burst not counted" 's/count > room - at/count > room/'
mutate $c "overlapping chain kept" 's/burst->nr--;//'
mutate $c "slots of an overlapping chain kept" '/burst->nr_slots = burst->chain/{N;d}'
mutate $c "pos of a chain not set" 's/chain->pos = ring->avail_pos;//'
mutate $c "skips one descriptor a chain" 's/at += count)/at++)/'
mutate $c "position goes on by one descriptor a chain" 's/vhx_packed_advance(ring, ring->avail_pos, count)/vhx_packed_advance(ring, ring->avail_pos, 1)/'
mutate $p "one row is all" 's/nr == (int)want \&\& burst->nr < max/0/'
mutate $c "rest not wanted" 's/unlikely(err == -EAGAIN)/0/'
mutate $c "all wanted again" 's/want(ring, burst, at + 1, nr)/want(ring, burst, 0, nr)/'
mutate $p "avail_idx not noted" '/^static int take_row/,/^}/s/ring->avail_idx = ring->avail_pos;//'
mutate $p "what was taken back stays noted" '/^static int packed_fetch/,/^}/s/ring->avail_idx = ring->avail_pos;/;/'
mutate $p "used flags of the other lap" 's/old \& VHX_WRAP ? F_AVAIL | F_USED : 0/old \& VHX_WRAP ? 0 : F_AVAIL | F_USED/'
mutate $p "used without AVAIL" '/^static int packed_complete/,/^}/s/WRAP ? F_AVAIL | F_USED/WRAP ? F_USED/'
mutate $p "WRITE always" '/^static __virtio64 encode/,/^}/s/if (used->len)/if (1)/'
mutate $p "WRITE never" '/^static __virtio64 encode/,/^}/s/if (used->len)/if (0)/'
mutate $p "used in a row: WRITE always" 's/used\[i\].len ? in : out/in/'
mutate $p "used in a row: WRITE never" 's/used\[i\].len ? in : out/out/'
mutate $p "used in a row: chains too" 's/if (upper >> 48 != 1)/if (0)/'
mutate $p "used in a row: end of the ring ignored" '/^static unsigned int encode_row/,/^}/s/nr = min(nr, .*;/;/'
mutate $p "used in a row: one past the end" '/^static unsigned int encode_row/,/^}/s/nr = min(nr, /&1 + /'
mutate $p "used in a row: if the first can be" 's/if (unlikely(encode_row(ring, used, nr, flags) < nr))/if (!encode_row(ring, used, nr, flags))/'
mutate $p "used in a row: takes one position" 's/u32 count = nr, ahead;/u32 count = 1, ahead;/'
mutate $p "used: lap not counted" '/^static u32 scatter/,/^}/s/flags ^= F_AVAIL | F_USED;//'
mutate $p "used: next lap from its first" '/^static u32 scatter/,/^}/s/index -= ring->num;/index = 0;/'
mutate $p "used: a chain is one position" '/^static u32 scatter/,/^}/s/count += used\[i\].count/count++/'
mutate $p "used: written in a row" '/^static int packed_complete/,/^}/s/slot = to->slot;//'
mutate $p "used elements in a row" '/^static u32 scatter/,/^}/s/index += used\[i\].count/index++/'
mutate $p "used_pos in the other lap" 's/vhx_packed_advance(ring, old, count)/vhx_packed_advance(ring, old ^ VHX_WRAP, count)/'
mutate $p "in order: id of the first" 's/encode(\&used\[nr - 1\], flags)/encode(used, flags)/'
mutate $p "in order: counter of the next one" 's/encode(\&used\[nr - 1\], flags)/encode(\&used[nr - 1], vhx_packed_advance(ring, old, count) \& VHX_WRAP ? F_AVAIL | F_USED : 0)/'
mutate $p "in order: written whole" 's/if (vhx_ring_is_one_enough(ring, used, nr))/if (0)/'
mutate $p "one for all, in any order" 's/if (vhx_ring_is_one_enough(ring, used, nr))/if (nr > 1)/'
mutate $p "used_pos advances though writing failed" '/^static int packed_complete/,/^}/s/if (err)$/if (err) ring->used_pos = vhx_packed_advance(ring, old, count);\n	&/'
mutate $p "signalled stays valid for ever" '/^static int packed_complete/,/^}/s/is_signalled_valid = false/is_signalled_valid = ring->is_signalled_valid/'
mutate $p "signalled valid after two laps" 's/ahead \&\& ahead <= count/ahead \&\& ahead < count/'
mutate $p "signalled invalid at once" 's/ahead \&\& ahead <= count/ahead <= count/'
mutate $p "signalled invalid one early" 's/ahead \&\& ahead <= count/ahead \&\& ahead <= count + 1/'
mutate $p "arm: flags without position" 's/err = store_event(ring, EVENT_POS, ring->avail_idx);/err = 0;/'
mutate $p "arm: event at what was handed back" 's/EVENT_POS, ring->avail_idx)/EVENT_POS, ring->avail_pos)/'
mutate $p "arm: event one late" 's/EVENT_POS, ring->avail_idx)/EVENT_POS, vhx_packed_advance(ring, ring->avail_idx, 1))/'
mutate $p "arm: flags without EVENT_IDX" '/^static int packed_arm/,/^}/s/if (ring->has_event_idx && !ret)/if (!ret)/'
mutate $p "arm without barrier" '/^static int packed_arm/,/^}/s/virt_mb();//'
mutate $p "arm does not look again" '/^static int packed_arm/,/^}/s/if (!ret)/if (1)/'
mutate $p "arm takes anything for available" 's/return (flags \& mask) == available_at(pos);/return 1;/'
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
mutate $r "steps counted over bursts" 's/burst->nr_steps = 0;//'
mutate $r "slots counted over bursts" 's/burst->nr_slots = 0;//'
mutate $r "plain buffers counted over bursts" 's/burst->nr_plain = 0;//'
mutate $r "direction kept over bursts" 's/burst->is_plain_in = false;//'
mutate $r "plain: pos not counted" 's/vhx_ring_advance(ring, burst->pos, i) :/burst->pos :/'
mutate $r "plain: pos past the end of the ring" 's/vhx_ring_advance(ring, burst->pos, i) :/(u16)(burst->pos + i) :/'
mutate $r "plain: pos of all buffers" 's/i < burst->nr_plain ?/1 ?/'
mutate $r "chain of a plain one: not made" 's/i >= burst->nr_plain/1/'
mutate $r "chain of a plain one: made of all" 's/i >= burst->nr_plain/0/'
mutate $r "chain of a plain one: no WRITE" 's/burst->is_plain_in ? VRING_DESC_F_WRITE : 0/0/'
mutate $r "chain of a plain one: readable" 's/is_in = burst->is_plain_in;/is_in = false;/'
mutate $r "chain of a plain one: length in both parts" 's/burst->is_plain_in ? 0 : vhx_plain_len/vhx_plain_len/'
mutate $r "chain of a plain one: slot of the first" 's/chain->slot = &burst->slot\[i\];/chain->slot = burst->slot;/'
mutate $r "wrap one late" 's/index < ring->num/index <= ring->num/'
mutate $r "wrap counter kept" 's/(~pos \& VHX_WRAP)/(pos \& VHX_WRAP)/'
mutate $r "packed ring goes on like a split one" 's/return ring->is_packed ? /return 0 ? /'
mutate $r "split ring goes on like a packed one" 's/return ring->is_packed ? /return 1 ? /'
mutate $r "one for all, with lengths" 's/i < nr \&\& !used\[i\].len/i < nr/'

[ "$PART" = none ] || exit 0
caught=$(grep -c ': caught by' "$dir/log")
echo "$caught caught, $((total - caught)) not"
[ "$caught" = "$total" ]
