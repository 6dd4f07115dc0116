"""The segments of a JPEG file up to its pixels, and how many scans hold those: as libjpeg goes over them, and no slower.

ITU T.81, appendix B. Between segments, libjpeg passes over whatever is no marker; so does this.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from kcars.images.beyond_limit import too_many_segments
from kcars.limits import limits

_MARKER = re.compile(rb"\xff[\x01-\xfe]")
# Within compressed data: no stuffed byte and no restart. What lies below 0xc0 has no length that libjpeg would skip.
_MARKER_IN_SCAN = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN, _EXIF = 0xD8, 0xD9, 0xDA, b"Exif\0\0"
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_METADATA = {*range(0xE1, 0xEE), 0xEF, 0xFE}  # Applications' segments but JFIF's and Adobe's, and comments.


class JpegHeader(NamedTuple):
    """height, width: in pixels; components: colours; several_scans: whether the decoder holds all coefficients at once;
    scans: how many, counted up to one more than `jpeg_scans`; exif: the content of its segment, None without one."""

    height: int
    width: int
    components: int
    several_scans: bool
    scans: int
    exif: bytes | None


def read(data: bytes) -> JpegHeader | None:
    """The header of bytes that begin as a JPEG; None where there is none. ValueError for one that is not decoded here:
    lossless, hierarchical, arithmetic, or of more segments than `photo_segments`."""
    frame = exif = None
    for kind, start, end in _segments(data):
        if kind == _START_OF_SCAN:
            if frame is None or start >= len(data):
                return None
            process, height, width, components = frame
            several = process == _PROGRESSIVE or data[start] < components
            scans = 1 + _more_scans(data, end) if several else 1
            return JpegHeader(height, width, components, several, scans, exif)
        if kind in _FRAMES:
            frame = _frame(kind, data[start:end], frame)
        elif kind == 0xE1 and exif is None and data.startswith(_EXIF, start):
            exif = data[start + len(_EXIF) : end]
    return None


def _frame(kind: int, content: bytes, before: tuple | None) -> tuple[int, int, int, int]:
    """(process, height, width, components) of the segment that starts a frame."""
    if before is not None:
        raise ValueError("a JPEG file of two sizes")  # Readers differ in which one they believe.
    if kind not in (*_SEQUENTIAL, _PROGRESSIVE):
        raise ValueError(
            f"a JPEG file of process {kind - 0xC0}; baseline, extended (1) and progressive (2) are decoded"
        )
    if len(content) < 6 or content[5] not in (1, 3, 4):
        raise ValueError("a JPEG file whose colours are not known")
    return kind, int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big"), content[5]


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start and end of its content) of each segment up to the first scan's."""
    place = 2
    for _ in range(limits().photo_segments):
        found = _MARKER.search(data, place)
        if found is None:
            return
        place = found.end()
        kind = data[place - 1]
        if kind in (_START_OF_IMAGE, _END_OF_IMAGE):
            return
        if kind < 0xC0 or 0xD0 <= kind < 0xD8:  # Without a length.
            continue
        end = place + max(2, int.from_bytes(data[place : place + 2], "big"))
        yield kind, place + 2, end
        if kind == _START_OF_SCAN:
            return
        place = end
    raise too_many_segments()


def _more_scans(data: bytes, place: int) -> int:
    """How many scans begin behind a place, up to the end of the image; at most `jpeg_scans` are counted."""
    scans, most = 0, limits().jpeg_scans
    for _ in range(limits().photo_segments):
        found = _MARKER_IN_SCAN.search(data, place)
        if found is None:
            return scans
        place = found.end()
        if data[place - 1] in (_START_OF_IMAGE, _END_OF_IMAGE):
            return scans
        scans += data[place - 1] == _START_OF_SCAN
        if scans >= most:
            return scans
        place += max(2, int.from_bytes(data[place : place + 2], "big"))
    raise too_many_segments()


def without_metadata(data: bytes) -> bytes:
    """A JPEG file that `read` knows, without comments and what applications keep in it, and without bytes between segments.

    Pillow copies those many times over, and follows wherever Exif points.
    """
    kept, rest = [b"\xff\xd8"], 2
    for kind, start, end in _segments(data):
        if kind not in _METADATA:
            kept.append(data[start - 4 : end])
        rest = end
    return b"".join([*kept, data[rest:]])
