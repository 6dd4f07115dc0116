"""The model's input pixels: a photo decoded, cropped and resized as in training."""

import re
from typing import Literal

import cv2
import numpy as np

SIZE_PX, MARGIN = 224, 0.1
MARKER = re.compile(rb"\xff[\x01-\xfe]")
BETWEEN = 4 * bytes.fromhex("00b74a1d94e25b3cc97625aa55ef0a9934c76e8742d92ca1")
RESTARTS = [b"".join(bytes([0xFF, number]) + BETWEEN for number in range(first, first + 3)) for first in (0xD0, 0xD4)]
FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # by orientation, after 5 to 8 are transposed
DAMAGED = "a JPEG that ends too early or is damaged"


def pixels_of(path, box=None, size=SIZE_PX, margin=MARGIN):
    """Return the network's input for a JPEG file, (size, size, 3) uint8 RGB.

    Raises ValueError, which names the file, for an invalid photo or box.
    """
    with open(path, "rb") as file:
        data = file.read()
    spread, turn = spread_out(path, data)
    height, width = turned(decoded(path, data), turn).shape[:2]
    left, top, right, bottom = (float(np.float32(edge)) for edge in box or (0, 0, width, height))
    if right <= 1 and bottom <= 1 and any(edge % 1 for edge in (left, top, right, bottom)):
        raise ValueError(f"{path}: the box ends within the first pixel, as shares of the photo do; give pixels")
    left, top, right, bottom = max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)
    if not (left < right and top < bottom):
        raise ValueError(f"{path}: the box holds no pixel of the photo")
    # Much larger photos are decoded at a half or a quarter of their size.
    side = min(right - left, bottom - top)
    scale = max(scale for scale in (1, 2, 4) if scale == 1 or side >= 2 * scale * size)
    stored = decoded(path, data, scale)
    # Missing pixels are filled with grey: at the end, or before restarts, which need an interval (ff dd).
    doubtful = (stored[-1, -1] == 128).all() or b"\xff\xdd" in data
    if doubtful and not (spread and all(np.array_equal(stored, decoded(path, other, scale)) for other in spread)):
        raise ValueError(f"{path}: {DAMAGED}")
    photo = turned(stored, turn)
    height, width = photo.shape[:2]
    if box:
        left, top, right, bottom = (edge / scale for edge in (left, top, right, bottom))
        wider, higher = (right - left) * margin, (bottom - top) * margin  # on each side
        left, top = min(max(0, round(left - wider)), width - 1), min(max(0, round(top - higher)), height - 1)
        right, bottom = min(width, round(right + wider)), min(height, round(bottom + higher))
        photo = photo[top : max(top + 1, bottom), left : max(left + 1, right)]
    photo = cv2.cvtColor(photo, cv2.COLOR_BGR2RGB)
    smaller = min(photo.shape[1], size), min(photo.shape[0], size)
    photo = cv2.resize(photo, smaller, interpolation=cv2.INTER_AREA)
    return cv2.resize(photo, (size, size), interpolation=cv2.INTER_LINEAR)


def decoded(path, data, scale=1):
    at = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}[scale]
    photo = cv2.imdecode(np.frombuffer(data, np.uint8), at | cv2.IMREAD_IGNORE_ORIENTATION)
    if photo is None:
        raise ValueError(f"{path}: {DAMAGED}")
    return photo


def turned(photo, turn):
    """Apply the Exif orientation to stored pixels; OpenCV's own Exif reader accepts invalid entries."""
    photo = cv2.transpose(photo) if 5 <= turn <= 8 else photo
    return cv2.flip(photo, FLIPS[turn]) if turn in FLIPS else photo


def turn_in(exif):
    """Return the orientation in the first directory, 1 if there is none."""
    orders: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}
    order = orders.get(exif[:2])
    if order is None:
        return 1

    def number(place, size):
        return int.from_bytes(exif[place : place + size].ljust(size, b"\0"), order)

    first = number(4, 4)
    for entry in range(first + 2, min(first + 2 + 12 * number(first, 2), len(exif)), 12):
        if number(entry, 2) == 0x0112:
            return number(entry + 8, 2)
    return 1


def spread_out(path, data):
    """Return two JPEGs with bytes and restarts inserted between scans, and the orientation: if pixels change, some were
    missing, which decoders fill; no JPEG if its restarts are not in sequence.

    Raises ValueError unless it is a JPEG with one or three channels and all scans.
    """
    place, kind, frame, head, exif = 2, 0, b"", b"", None
    while kind != 0xDA and (found := MARKER.search(data, place)):
        kind, place = data[found.end() - 1], found.end()
        if kind >= 0xC0 and not 0xD0 <= kind <= 0xD7:
            length = max(2, int.from_bytes(data[place : place + 2], "big"))
            if kind == 0xE1 and exif is None and data[place + 2 : place + 8] == b"Exif\0\0":
                exif = data[place + 8 : place + length]
            head, place = data[place : place + length] + bytes(520), place + length
            frame = bytes([kind]) + head if kind in (0xC0, 0xC1, 0xC2) else frame
    if data[:3] != b"\xff\xd8\xff" or kind != 0xDA or frame[8:9] not in (b"\1", b"\3"):
        raise ValueError(f"{path}: not a JPEG with one or three channels")
    markers = [found.start() for found in MARKER.finditer(data, place)]
    ends = [number for number, at in enumerate(markers) if data[at + 1] == 0xD9]
    markers = markers[: ends[0] + 1] if ends else []
    progressive, colours = frame[0] == 0xC2, frame[8]
    several, given = progressive or head[2] < colours, set()
    for scan in (head, *(data[at + 2 : at + 2 + 520] + bytes(520) for at in markers if data[at + 1] == 0xDA)):
        count = scan[2]
        first, last, bits = scan[3 + 2 * count :][:3] if progressive else (0, 63, 0)
        coefficients = range(first, min(last, 63) + 1) if bits % 16 == 0 else ()
        given |= {(scan[3 + 2 * number], one) for number in range(count) for one in coefficients}
    own = {*range(0xD0, 0xD8), 0xD9} | ({0xC4, 0xDA, 0xDB, 0xDD} if several else set())
    if not markers or any(data[at + 1] not in own for at in markers) or (several and len(given) < 64 * colours):
        raise ValueError(f"{path}: {DAMAGED}")
    restarts, ends, parts = 0, [], []
    for start, end in zip(markers, [*markers[1:], len(data)], strict=True):
        restart = 0xD0 <= data[start + 1] <= 0xD7
        if restart and data[start + 1] != 0xD0 + restarts % 8:
            return [], turn_in(exif or b"")
        restarts = restarts + 1 if restart else 0
        ends.append(not restart)
        parts.append(data[start:end])
    spread = [
        data[: markers[0]] + b"".join(BETWEEN + more * is_end + part for is_end, part in zip(ends, parts, strict=True))
        for more in RESTARTS
    ]
    return spread, turn_in(exif or b"")
