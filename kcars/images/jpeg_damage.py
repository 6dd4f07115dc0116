"""Whether a JPEG's pixels all come from its own bytes: libjpeg fills up with grey, and most readers say nothing of it.

`export/jpeg_graph.py` and `export/client_pixels.py` do the same, whose decoders tell no warnings. The header tells
whether all scans are there; where the last pixel is grey, a decoder is asked again. What is lacking of less than a block or two, or
in the later scans of a progressive file, and damage that decodes to as many pixels as there are, is found by none of them.
"""

import re

import numpy as np

from kcars.core.limits import limits
from kcars.images.beyond_limit import too_many_segments

_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_MARKER = re.compile(rb"\xff[\x01-\xfe]")
# Between the bytes of a scan and the marker behind them: a decoder that needs more bytes than there are takes these for the
# photo's, so that its pixels change; one that has all it needs passes over them. 00 first: it may follow a byte ff.
PADDING = bytes(
    (0, 183, 74, 29, 148, 226, 91, 60, 201, 118, 37, 170, 85, 239, 10, 153, 52, 199, 110, 135, 66, 217, 44, 161)
)


GREY = 128  # What is filled up with.


_TAIL = (
    64  # Bytes before the end of the image in which a decoder that has all pixels passes over what it should not find.
)
# Markers that do not belong between the head of the first scan and the end of the image: of one scan, and of several.
FOREIGN_TO_ONE = (*range(0x01, 0xD0), 0xD8, *range(0xDA, 0xFF))
FOREIGN_TO_SEVERAL = tuple(kind for kind in FOREIGN_TO_ONE if kind not in (0xC4, 0xDA, 0xDB, 0xDD))
_FOREIGN = {
    several: re.compile(b"\xff[" + b"".join(re.escape(bytes([kind])) for kind in kinds) + b"]")
    for several, kinds in ((False, FOREIGN_TO_ONE), (True, FOREIGN_TO_SEVERAL))
}


def ends_plainly(data: bytes, first_scan: int, several: bool) -> bool:
    """Whether the image has an end and nothing foreign close before it, which libjpeg does not warn of once it has all pixels."""
    end = data.rfind(_END)
    start = _behind_segment(data, first_scan)
    return end >= start and _FOREIGN[several].search(data, max(start, end - _TAIL), end) is None


def has_foreign_marker(data: bytes, first_scan: int, several: bool) -> bool:
    """Whether a marker that does not belong there stands before the end of the image, or the end is lacking."""
    start = _behind_segment(data, first_scan)
    end = data.find(_END, start)
    return end < 0 or _FOREIGN[several].search(data, start, end) is not None


def ends_grey(stored: np.ndarray) -> bool:
    """Whether the last pixel, as stored, is what libjpeg fills up with: where it is not, nothing is lacking."""
    return bool((stored[-1, -1] == GREY).all())


def padded(data: bytes, first_scan: int) -> bytes | None:
    """A JPEG with PADDING before each marker behind the head of its first scan, whose place is given, to the end of the image.

    None where that end is lacking. ValueError for more markers than `photo_segments`: each becomes many times as long.
    """
    place, most = _behind_segment(data, first_scan), limits().photo_segments
    parts = [data[:place]]
    for number, found in enumerate(_MARKER.finditer(data, place), 1):
        if number > most:
            raise too_many_segments()
        parts += [data[place : found.start()], PADDING]
        place = found.start()
        if found.group() == _END:
            return b"".join([*parts, data[place:]])
    return None


def _behind_segment(data: bytes, place: int) -> int:
    return place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
