"""The segments of a JPEG file up to its pixels, and how many scans hold those: as libjpeg goes over them, and no slower.

ITU T.81, appendix B. Between segments, libjpeg passes over whatever is no marker; so does this.
"""

import re
from typing import NamedTuple

from kcars.images.beyond_limit import too_many_segments
from kcars.limits import Limits

_MARKER = re.compile(rb"\xff[\x01-\xfe]")
# Within compressed data: no stuffed byte and no restart. What lies below 0xc0 has no length that libjpeg would skip.
_MARKER_IN_SCAN = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN, _EXIF = 0xD8, 0xD9, 0xDA, b"Exif\0\0"
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset((*range(0xC0), *range(0xD0, 0xD8)))
_METADATA = frozenset((*range(0xE1, 0xEE), 0xEF, 0xFE))  # Applications' segments but JFIF's and Adobe's, and comments.


class JpegHeader(NamedTuple):
    """height, width: in pixels; components: colours; several_scans: whether the decoder holds all coefficients at once;
    scans: how many, counted up to one more than `jpeg_scans`; exif: the content of its segment, None without one."""

    height: int
    width: int
    components: int
    several_scans: bool
    scans: int
    exif: bytes | None


def read(data: bytes, bounds: Limits) -> JpegHeader | None:
    """The header of bytes that begin as a JPEG; None where there is none. ValueError for one that is not decoded here:
    lossless, hierarchical, arithmetic, or of more segments than `photo_segments`."""
    frame = exif = None
    for kind, start, end in _segments(data, bounds):
        if kind in _FRAMES:
            frame = _frame(kind, data[start:end], frame)
        elif kind == 0xE1 and exif is None and data.startswith(_EXIF, start):
            exif = data[start + len(_EXIF) : end]
        elif kind == _START_OF_SCAN and frame is not None and start < len(data):
            process, height, width, components = frame
            several = process == _PROGRESSIVE or data[start] < components
            scans = 1 + _more_scans(data, end, bounds) if several else 1
            return JpegHeader(height, width, components, several, scans, exif)
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
    return kind, content[1] << 8 | content[2], content[3] << 8 | content[4], content[5]


def _segments(data: bytes, bounds: Limits) -> list[tuple[int, int, int]]:
    """(marker, start and end of its content) of each segment up to the first scan's."""
    found, place, size = [], 2, len(data)
    for _ in range(bounds.photo_segments):
        if place + 4 > size:
            return found
        kind = data[place + 1]
        if data[place] != 0xFF or kind in (0, 0xFF):
            marker = _MARKER.search(data, place)
            if marker is None:
                return found
            place = marker.start()
            continue
        if kind in _WITHOUT_LENGTH:
            place += 2
            continue
        if kind in (_START_OF_IMAGE, _END_OF_IMAGE):
            return found
        end = place + 2 + max(2, data[place + 2] << 8 | data[place + 3])
        found.append((kind, place + 4, end))
        if kind == _START_OF_SCAN:
            return found
        place = end
    raise too_many_segments()


def _more_scans(data: bytes, place: int, bounds: Limits) -> int:
    """How many scans begin behind a place, up to the end of the image; at most `jpeg_scans` are counted."""
    scans = 0
    for _ in range(bounds.photo_segments):
        found = _MARKER_IN_SCAN.search(data, place)
        if found is None:
            return scans
        place = found.end()
        if data[place - 1] in (_START_OF_IMAGE, _END_OF_IMAGE):
            return scans
        scans += data[place - 1] == _START_OF_SCAN
        if scans >= bounds.jpeg_scans:
            return scans
        place += max(2, int.from_bytes(data[place : place + 2], "big"))
    raise too_many_segments()


def without_metadata(data: bytes, bounds: Limits) -> bytes:
    """A JPEG file that `read` knows, without comments and what applications keep in it, and without bytes between segments.

    Pillow copies those many times over, and follows wherever Exif points.
    """
    segments = _segments(data, bounds)
    kept = [data[start - 4 : end] for kind, start, end in segments if kind not in _METADATA]
    return b"".join([b"\xff\xd8", *kept, data[segments[-1][2] :]])
