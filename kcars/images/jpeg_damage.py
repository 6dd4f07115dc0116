"""Whether a JPEG's pixels all come from its own bytes: libjpeg fills up what is lacking, and most readers say nothing of it.

`export/jpeg_graph.py` does the same in TensorFlow, whose decoder tells no warnings either.
"""

import re

_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_MARKER = re.compile(rb"\xff[\x01-\xfe]")
# Between the bytes of a scan and the marker behind them: a decoder that needs more bytes than there are takes these for the
# photo's, so that its pixels change; one that has all it needs passes over them. 00 first: it may follow a byte ff.
PADDING = bytes((0, 183, 74, 29, 148, 226, 91, 60, 201, 118, 37, 170, 85, 239, 10, 153, 52, 199, 110, 135, 66, 217, 44, 161))


def padded(data: bytes, first_scan: int) -> bytes | None:
    """A JPEG with PADDING before each marker from the place of its first scan's marker on, to the end of the image.

    None where that end is lacking. What would be no marker of a decoder's within a table between scans counts as one here.
    """
    place = _behind_segment(data, first_scan)
    parts = [data[:place]]
    for found in _MARKER.finditer(data, place):
        parts += [data[place : found.start()], PADDING]
        place = found.start()
        if found.group() == _END:
            return b"".join([*parts, data[place:]])
    return None


def _behind_segment(data: bytes, place: int) -> int:
    return place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
