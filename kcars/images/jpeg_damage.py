"""Detects JPEG files with missing pixels, which libjpeg fills with grey and most readers do not report.

`export/jpeg_graph.py` and `export/client_pixels.py` do the same, because their decoders report no warnings. The header shows
whether all scans are present; if the last pixel is grey, or there may be restarts, the photo is decoded again with padding.
None of them detects less than a block or two of missing pixels, gaps in later scans of a progressive file, or damage that
decodes to all pixels.
"""

import re

import numpy as np

from kcars.core.limits import limits
from kcars.images.beyond_limit import too_many_segments

_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_MARKER = re.compile(rb"\xff[\x01-\xfe]")
# Inserted between the bytes of a scan and the next marker: a decoder that lacks bytes reads these as the photo's, which
# changes its pixels; a decoder with all bytes skips them. 00 first, because it may follow a byte ff. Several times, because the
# first missing block can use them up and be black or white either way.
PADDING = 4 * bytes(
    (0, 183, 74, 29, 148, 226, 91, 60, 201, 118, 37, 170, 85, 239, 10, 153, 52, 199, 110, 135, 66, 217, 44, 161)
)
# A decoder that expects more restarts than a scan has skips PADDING up to the next marker and fills in the rest. With one of
# these behind PADDING it decodes foreign bytes instead; with which one depends on the number that it expects.
FIRST_RESTART, RESTART_NUMBERS = 0xD0, 8
RESTARTS = tuple(
    b"".join(bytes((0xFF, FIRST_RESTART + first + step)) + PADDING for step in range(3)) for first in (0, 4)
)
INTERVAL = 0xDD  # The marker of a restart interval; without one a decoder expects no restarts.


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
    """Whether the last stored pixel has libjpeg's fill value; otherwise no pixel is missing, except before a restart."""
    return bool((stored[-1, -1] == GREY).all())


def may_restart(data: bytes) -> bool:
    """Whether there may be a restart interval: then pixels can be missing anywhere."""
    return bytes((0xFF, INTERVAL)) in data


def padded(data: bytes, first_scan: int, restarts: bytes) -> bytes | None:
    """A JPEG with PADDING before each marker between the header of its first scan, at `first_scan`, and the end of the image,
    followed by `restarts`, one of RESTARTS, unless the marker is a restart.

    Returns None if the end is missing or the restarts of a scan are not in sequence, for which libjpeg fills in pixels; raises
    ValueError for more markers than `photo_segments`, as each grows many times.
    """
    position, most = _behind_segment(data, first_scan), limits().photo_segments
    parts, passed, in_sequence = [data[:position]], 0, True
    for number, found in enumerate(_MARKER.finditer(data, position), 1):
        if number > most:
            raise too_many_segments()
        restart = found.group()[1] - FIRST_RESTART
        between = restart not in range(RESTART_NUMBERS)
        in_sequence &= between or restart == passed % RESTART_NUMBERS
        passed = 0 if between else passed + 1
        parts += [data[position : found.start()], PADDING, restarts if between else b""]
        position = found.start()
        if found.group() == _END:
            return b"".join([*parts, data[position:]]) if in_sequence else None
    return None


def _behind_segment(data: bytes, position: int) -> int:
    return position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
