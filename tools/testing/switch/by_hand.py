# SPDX-License-Identifier: GPL-2.0-only
"""A guest's device by hand: a vhost-user client with two split rings, and what a
driver writes there. For counters that are to be exact."""
import mmap
import os
import socket
import struct

SIZE, UADDR, RING = 1 << 20, 0x10000000, 0x4000
NUM, ROOM, BUFFERS = 256, 2048, 0x20000
RX, TX = 0, 1
VERSION_1, WRITE, HEADER = 1 << 32, 2, bytes(12)
(SET_FEATURES, SET_OWNER, SET_MEM_TABLE, SET_VRING_NUM, SET_VRING_ADDR,
 SET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL) = 2, 3, 5, 8, 9, 10, 12, 13


class Guest:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        memfd = os.memfd_create("guest")
        os.ftruncate(memfd, SIZE)
        self.mem = mmap.mmap(memfd, SIZE)
        self.avail, self.kicks = [0, 0], []
        self.say(SET_OWNER)
        self.say(SET_FEATURES, struct.pack("=Q", VERSION_1))
        self.say(SET_MEM_TABLE, struct.pack("=IIQQQQ", 1, 0, 0, SIZE, UADDR, 0),
                 memfd)
        os.close(memfd)
        for ring in (RX, TX):
            self.set_up(ring)
        self.kick(RX)

    def say(self, request, payload=b"", *fds):
        socket.send_fds(self.sock, [struct.pack("=III", request, 1, len(payload)) +
                                    payload], fds)

    def set_up(self, ring):
        at = UADDR + ring * RING
        self.say(SET_VRING_NUM, struct.pack("=II", ring, NUM))
        self.say(SET_VRING_BASE, struct.pack("=II", ring, 0))
        self.say(SET_VRING_ADDR, struct.pack("=IIQQQQ", ring, 0, at, at + 0x2000,
                                             at + 0x1000, 0))
        call = os.eventfd(0)
        self.kicks.append(os.eventfd(0))
        self.say(SET_VRING_CALL, struct.pack("=Q", ring), call)
        self.say(SET_VRING_KICK, struct.pack("=Q", ring), self.kicks[ring])
        os.close(call)

    def kick(self, ring):
        os.eventfd_write(self.kicks[ring], 1)

    def give(self, ring, *heads):
        """Makes them available, all at once."""
        at = ring * RING + 0x1000
        for head in heads:
            struct.pack_into("=H", self.mem,
                             at + 4 + self.avail[ring] % NUM * 2, head)
            self.avail[ring] += 1
        struct.pack_into("=H", self.mem, at + 2, self.avail[ring])

    def describe(self, ring, head, length, flags):
        addr = BUFFERS + (ring * NUM + head) * ROOM // 4
        struct.pack_into("=QIHH", self.mem, ring * RING + head * 16, addr, length,
                         flags, 0)
        return addr

    def send(self, *frames):
        for i, frame in enumerate(frames):
            addr = self.describe(TX, i, len(HEADER + frame), 0)
            self.mem[addr:addr + len(HEADER + frame)] = HEADER + frame
        self.give(TX, *range(len(frames)))
        self.kick(TX)

    def give_buffer(self, head):
        self.describe(RX, head, ROOM // 4, WRITE)
        self.give(RX, head)

    def close(self):
        for fd in self.kicks:
            os.close(fd)
        self.sock.close()
