# SPDX-License-Identifier: GPL-2.0-only
"""The rate of this machine's time stamp counter, which TCG passes on.

An emulated kernel measures it by emulated timers. On a busy machine one boot in
some dozens came out at 37 MHz in place of 2096, with a clock that ran 57 times too
fast: it saw lockups, stalls and deadlines that were none.
"""
import ctypes
import mmap
import time

# rdtsc; shl $32,%rdx; or %rdx,%rax; ret
RDTSC = b"\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0\xc3"
SPAN_SECS = 0.2
CLOSE_NS = 20000                # what lies between was not interrupted


def _reader():
    """A function that reads the counter."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE
                     | mmap.PROT_EXEC)
    page.write(RDTSC)
    place = ctypes.c_char.from_buffer(page)
    reader = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(place))
    reader.place = place                # lives as long
    return reader


def _stamp(rdtsc):
    """Nanoseconds and the count at the same time."""
    while True:
        before, count = time.monotonic_ns(), rdtsc()
        if time.monotonic_ns() - before < CLOSE_NS:
            return before, count


def khz():
    rdtsc = _reader()
    from_ns, from_count = _stamp(rdtsc)
    time.sleep(SPAN_SECS)
    to_ns, to_count = _stamp(rdtsc)
    return round((to_count - from_count) * 1e6 / (to_ns - from_ns))
