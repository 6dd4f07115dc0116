"""Reads the segments of a JPEG file up to its pixels, and counts its scans, in the same way as libjpeg.

ITU T.81, appendix B. Between segments libjpeg skips all bytes that are not a marker; so does this module.
"""

import re
from typing import NamedTuple

from kcars.core.limits import Limits
from kcars.images.beyond_limit import too_many_segments

_MARKER = re.compile(rb"\xff[\x01-\xfe]")
# A marker in compressed data, neither a stuffed byte nor a restart. Markers below 0xc0 have no length.
_MARKER_IN_SCAN = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN, _EXIF = 0xD8, 0xD9, 0xDA, b"Exif\0\0"
COEFFICIENTS = 64  # Per block.
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset((*range(0xC0), *range(0xD0, 0xD8)))
_METADATA = frozenset((*range(0xE1, 0xEE), 0xEF, 0xFE))  # Application segments except JFIF's and Adobe's, and comments.


class JpegHeader(NamedTuple):
    """height, width: in stored pixels; components: colour channels; several_scans: whether the decoder stores all coefficients
    at once; scans: their number, counted up to one more than `jpeg_scans`; exif: the content of its segment, None without one;
    first_scan: the position of its marker; whole: whether the scans contain all coefficients in full precision."""

    height: int
    width: int
    components: int
    several_scans: bool
    scans: int
    exif: bytes | None
    first_scan: int
    whole: bool = True


def read(data: bytes, bounds: Limits) -> JpegHeader | None:
    """The header of bytes that begin as a JPEG; None if there is none. Raises ValueError for unsupported files: lossless,
    hierarchical, arithmetic, or with more segments than `photo_segments`."""
    frame = exif = None
    for kind, start, end in _segments(data, bounds):
        if kind in _FRAMES:
            frame = _frame(kind, data[start:end], frame)
        elif kind == 0xE1 and exif is None and data.startswith(_EXIF, start):
            exif = data[start + len(_EXIF) : end]
        elif kind == _START_OF_SCAN and frame is not None and start < len(data):
            process, height, width, components = frame
            several = process == _PROGRESSIVE or data[start] < components
            found = JpegHeader(height, width, components, several, 1, exif, start - 4)
            return _with_all_scans(found, data, end, process == _PROGRESSIVE, bounds) if several else found
    return None


def _frame(kind: int, content: bytes, before: tuple | None) -> tuple[int, int, int, int]:
    """(process, height, width, components) of a start-of-frame segment."""
    if before is not None:
        raise ValueError("a JPEG file with two sizes")  # Readers differ in which one they use.
    if kind not in (*_SEQUENTIAL, _PROGRESSIVE):
        raise ValueError(
            f"a JPEG file with process {kind - 0xC0}; baseline, extended (1) and progressive (2) are supported"
        )
    if len(content) < 6 or content[5] not in (1, 3, 4):
        raise ValueError("a JPEG file with unknown colours")
    return kind, content[1] << 8 | content[2], content[3] << 8 | content[4], content[5]


def _segments(data: bytes, bounds: Limits) -> list[tuple[int, int, int]]:
    """(marker, start and end of its content) of each segment up to the first scan's."""
    found, position, size = [], 2, len(data)
    for _ in range(bounds.photo_segments):
        if position + 4 > size:
            return found
        kind = data[position + 1]
        if data[position] != 0xFF or kind in (0, 0xFF):
            marker = _MARKER.search(data, position)
            if marker is None:
                return found
            position = marker.start()
            continue
        if kind in _WITHOUT_LENGTH:
            position += 2
            continue
        if kind in (_START_OF_IMAGE, _END_OF_IMAGE):
            return found
        end = position + 2 + max(2, data[position + 2] << 8 | data[position + 3])
        found.append((kind, position + 4, end))
        if kind == _START_OF_SCAN:
            return found
        position = end
    raise too_many_segments()


def _with_all_scans(first: JpegHeader, data: bytes, position: int, progressive: bool, bounds: Limits) -> JpegHeader:
    """The header with its scans up to the end of the image counted, at most one more than `jpeg_scans`.

    Missing coefficients are no error for libjpeg, which then smooths, differently in each release. All markers are counted,
    because tables between scans contain none.
    """
    scans, complete = 1, _completed(data, first.first_scan, progressive)
    for _ in range(bounds.photo_segments):
        found = _MARKER_IN_SCAN.search(data, position)
        if found is None:
            break
        position = found.end()
        if data[position - 1] in (_START_OF_IMAGE, _END_OF_IMAGE):
            break
        if data[position - 1] == _START_OF_SCAN:
            scans, complete = scans + 1, complete | _completed(data, position - 2, progressive)
        if scans > bounds.jpeg_scans:
            break
    else:
        raise too_many_segments()
    return first._replace(scans=scans, whole=len(complete) >= COEFFICIENTS * first.components)


def _completed(data: bytes, scan: int, progressive: bool) -> set[tuple[int, int]]:
    """(component number, coefficient) of each coefficient that the scan at a position completes."""
    count = int.from_bytes(data[scan + 4 : scan + 5])
    colours = [data[position] for position in range(scan + 5, scan + 5 + 2 * count, 2) if position < len(data)]
    first, last, bits = (data[scan + 5 + 2 * count :][:3] + bytes(3))[:3] if progressive else (0, COEFFICIENTS - 1, 0)
    coefficients = range(first, min(last + 1, COEFFICIENTS)) if bits & 15 == 0 else ()
    return {(colour, coefficient) for colour in colours for coefficient in coefficients}


def without_metadata(data: bytes, bounds: Limits) -> bytes:
    """A JPEG file accepted by `read`, without comments, application segments and bytes between segments.

    Pillow would copy those many times, and follow any pointers in Exif.
    """
    segments = _segments(data, bounds)
    kept = [data[start - 4 : end] for kind, start, end in segments if kind not in _METADATA]
    return b"".join([b"\xff\xd8", *kept, data[segments[-1][2] :]])
