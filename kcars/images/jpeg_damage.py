"""Detects JPEG files with missing pixels, which libjpeg fills with grey and most readers do not report.

`export/jpeg_graph.py` and `export/client_pixels.py` do the same, because their decoders report no warnings. The header shows
whether all scans are present; if the last pixel is grey, the photo is decoded again with padding. None of them detects less
than a block or two of missing pixels, gaps in later scans of a progressive file, or damage that decodes to all pixels.
"""

import re

import numpy as np

from kcars.core.limits import limits
from kcars.images.beyond_limit import too_many_segments

_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_MARKER = re.compile(rb"\xff[\x01-\xfe]")
# Inserted between the bytes of a scan and the next marker: a decoder that lacks bytes reads these as the photo's, which
# changes its pixels; a decoder with all bytes skips them. 00 first, because it may follow a byte ff.
PADDING = bytes(
    (0, 183, 74, 29, 148, 226, 91, 60, 201, 118, 37, 170, 85, 239, 10, 153, 52, 199, 110, 135, 66, 217, 44, 161)
)


GREY = 128  # The fill value.


_TAIL = 64  # Bytes before the end of the image where a decoder with all pixels ignores foreign content.
# Markers that do not belong between the header of the first scan and the end of the image, for one scan and for several.
FOREIGN_TO_ONE = (*range(0x01, 0xD0), 0xD8, *range(0xDA, 0xFF))
FOREIGN_TO_SEVERAL = tuple(kind for kind in FOREIGN_TO_ONE if kind not in (0xC4, 0xDA, 0xDB, 0xDD))
_FOREIGN = {
    several: re.compile(b"\xff[" + b"".join(re.escape(bytes([kind])) for kind in kinds) + b"]")
    for several, kinds in ((False, FOREIGN_TO_ONE), (True, FOREIGN_TO_SEVERAL))
}


def ends_plainly(data: bytes, first_scan: int, several: bool) -> bool:
    """Whether the image has an end without foreign content just before it, for which libjpeg gives no warning."""
    end = data.rfind(_END)
    start = _behind_segment(data, first_scan)
    return end >= start and _FOREIGN[several].search(data, max(start, end - _TAIL), end) is None


def has_foreign_marker(data: bytes, first_scan: int, several: bool) -> bool:
    """Whether there is a foreign marker before the end of the image, or no end."""
    start = _behind_segment(data, first_scan)
    end = data.find(_END, start)
    return end < 0 or _FOREIGN[several].search(data, start, end) is not None


def ends_grey(stored: np.ndarray) -> bool:
    """Whether the last stored pixel has libjpeg's fill value; otherwise no pixel is missing."""
    return bool((stored[-1, -1] == GREY).all())


def padded(data: bytes, first_scan: int) -> bytes | None:
    """A JPEG with PADDING before each marker between the header of its first scan, at `first_scan`, and the end of the image.

    Returns None if the end is missing; raises ValueError for more markers than `photo_segments`, as each grows many times.
    """
    position, most = _behind_segment(data, first_scan), limits().photo_segments
    parts = [data[:position]]
    for number, found in enumerate(_MARKER.finditer(data, position), 1):
        if number > most:
            raise too_many_segments()
        parts += [data[position : found.start()], PADDING]
        position = found.start()
        if found.group() == _END:
            return b"".join([*parts, data[position:]])
    return None


def _behind_segment(data: bytes, position: int) -> int:
    return position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
