"""Reads the chunks of a PNG file: its size, whether its pixels are complete, and the chunks that decoders need."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from kcars.core.limits import Limits
from kcars.images.beyond_limit import BeyondLimit, too_many_segments

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # Colour type -> channels.
_DEPTHS = (1, 2, 4, 8, 16)
# The chunks that pixels depend on, besides critical ones. A few bytes of others (texts, colour profiles) may unpack to megabytes,
# and libpng writes a line to standard error for each that is damaged or given twice.
_NEEDED, _NEEDED_ONCE = (b"acTL", b"fcTL", b"fdAT"), b"tRNS"
_ANCILLARY, _PALETTE = 0x20, 3
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_STEP, _PIECE = 2**20, 2**16


class PngHeader(NamedTuple):
    """height, width: in pixels; frames: whether there are several; exif: content of the Exif chunk; content: the file without
    chunks that pixels do not depend on."""

    height: int
    width: int
    frames: bool
    exif: bytes
    content: bytes


def read(data: bytes, bounds: Limits) -> PngHeader | None:
    """The header of bytes that begin as a PNG; None if it is damaged. Raises ValueError for more chunks than `photo_segments`."""
    if data[12:16] != b"IHDR" or len(data) < 33:
        return None
    width, height = struct.unpack(">II", data[16:24])
    frames, exif, parts, start, once = False, b"", [], 0, ()
    for kind, position, end in _chunks(data, bounds):
        if kind == b"acTL":
            frames = True
        elif kind == b"eXIf":
            exif = data[position + 8 : end - 4]
        if kind in once or not _is_needed(data, kind, position, end):
            parts.append(data[start:position])
            start = end
        elif kind == _NEEDED_ONCE:
            once = (kind,)
    return PngHeader(height, width, frames, exif, b"".join([*parts, data[start:]]) if start else data)


def _is_needed(data: bytes, kind: bytes, start: int, end: int) -> bool:
    """Whether pixels depend on a chunk; libpng ignores ancillary ones with a wrong checksum, and palettes of photos without one."""
    if not kind[0] & _ANCILLARY:
        return kind != b"PLTE" or data[25] == _PALETTE
    known = kind in _NEEDED or kind == _NEEDED_ONCE
    return known and zlib.crc32(memoryview(data)[start + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")


def _chunks(data: bytes, bounds: Limits) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of each chunk, including its length and checksum."""
    position = len(SIGNATURE)
    for _ in range(bounds.photo_segments):
        if position + 8 > len(data):
            return
        kind, end = (
            data[position + 4 : position + 8],
            position + 12 + int.from_bytes(data[position : position + 4], "big"),
        )
        yield kind, position, end
        if kind == b"IEND":
            return
        position = end
    raise too_many_segments()


def refuse_other_content(data: bytes, bounds: Limits) -> None:
    """Raises ValueError if a PNG file contains fewer bytes than its pixels, or far more, all of which libpng would unpack."""
    wanted, unpacked = _bytes_of_pixels(data), 0
    unpack = zlib.decompressobj()
    try:
        for piece in _compressed(data, bounds):
            while piece and not unpack.eof:
                unpacked += len(unpack.decompress(piece, _STEP))
                piece = unpack.unconsumed_tail
                if unpacked > wanted + _STEP:
                    raise BeyondLimit("a PNG file that contains more than its pixels")
        unpacked += len(unpack.flush())  # The rest in zlib's buffer.
    except zlib.error as error:
        raise ValueError(f"ends too early or is damaged ({str(error)[:80]})") from None
    if unpacked < wanted:
        raise ValueError("ends too early or is damaged")


def _compressed(data: bytes, bounds: Limits) -> Iterator[bytes]:
    """The stream of pixels, in pieces, because zlib copies the unread rest of each."""
    for kind, position, end in _chunks(data, bounds):
        if kind == b"IDAT":
            for start in range(position + 8, end - 4, _PIECE):
                yield data[start : min(start + _PIECE, end - 4)]


def _bytes_of_pixels(data: bytes) -> int:
    """Bytes of the pixels of a PNG file, including the first byte of each row."""
    width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    if depth not in _DEPTHS or colours not in _CHANNELS:
        raise ValueError("ends too early or is damaged (header)")
    bits = depth * _CHANNELS[colours]
    total = 0
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, lines = -((left - width) // across), -((top - height) // down)
        if columns > 0 and lines > 0:
            total += lines * (1 + (columns * bits + 7) // 8)
    return total
