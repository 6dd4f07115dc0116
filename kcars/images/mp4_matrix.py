"""Reads the display matrix in the video track header of MP4 and QuickTime files (ISO/IEC 14496-12, 8.3.2).

OpenCV's reader applies quarter turns, but treats a mirror image as a half turn.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

MOST_BOXES = 10_000  # A header has dozens.
_WITHIN = (b"moov", b"trak")


def is_mirrored(file: BinaryIO, size: int) -> bool:
    """Whether a video track is to be shown mirrored; False for other kinds of files, and if it cannot be read."""
    file.seek(0)
    return file.read(8)[4:] == b"ftyp" and any(_determinant(header) < 0 for header in _track_headers(file, size))


def _track_headers(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The content of each `tkhd` box."""
    waiting, seen = [(0, size)], 0
    while waiting and seen < MOST_BOXES:
        position, end = waiting.pop()
        while position + 8 <= end and seen < MOST_BOXES:
            seen += 1
            name, begin, after = _box(file, position, end)
            if after <= position:
                break
            if name in _WITHIN:
                waiting.append((begin, after))
            elif name == b"tkhd":
                file.seek(begin)
                yield file.read(min(after - begin, 128))
            position = after


def _box(file: BinaryIO, position: int, end: int) -> tuple[bytes, int, int]:
    """(name, start of the content, start of the next box) of a box."""
    file.seek(position)
    head = file.read(16)
    length, name = struct.unpack(">I4s", head[:8])
    begin = position + 8
    if length == 1 and len(head) == 16:
        length, begin = struct.unpack(">Q", head[8:])[0], position + 16
    return name, begin, end if length == 0 else min(position + length, end)


def _determinant(header: bytes) -> int:
    """Determinant of the matrix's upper left part; 0 for tracks without a size, such as sound, and for truncated ones."""
    start = 52 if header[:1] == b"\x01" else 40
    if len(header) < start + 44:
        return 0
    a, b, _, c, d, *_, width, height = struct.unpack(">11i", header[start : start + 44])
    return a * d - b * c if width and height else 0
