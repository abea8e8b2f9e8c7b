# SPDX-License-Identifier: GPL-2.0-only
"""The uncompressed ELF kernel of a bzImage.

QEMU enters an ELF kernel through its PVH note: no option ROM and no
decompressor to run under emulation.
"""
import gzip
import io
import lzma
import os
import struct
import subprocess

from cache import Failed, read


def unpack(blob):
    """Unpack by magic; what follows the stream (its size) is ignored."""
    if blob.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor().decompress(blob)
    if blob.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=io.BytesIO(blob)).read()
    for magic, tool in (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x02\x21\x4c\x18", "lz4"):
        if blob.startswith(magic):
            return subprocess.run([tool, "-qdc"], input=blob[:-4], check=True,
                                  stdout=subprocess.PIPE).stdout
    raise Failed("unknown compression: " + blob[:6].hex())


def extract(src, dst):
    image = read(src)
    if image[0x202:0x206] != b"HdrS":
        raise Failed(f"{src}: not a bzImage")
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (image[0x1f1] + 1) * 512 + offset
    vmlinux = unpack(image[start:start + length])
    if vmlinux[:4] != b"\x7fELF":
        raise Failed(f"{src}: the payload is not ELF")
    with open(dst + ".tmp", "wb") as file:
        file.write(vmlinux)
    os.rename(dst + ".tmp", dst)
