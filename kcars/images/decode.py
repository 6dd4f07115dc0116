"""Decodes a JPEG, PNG, WebP or BMP photo to a cropped and resized uint8 square."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import simplejpeg

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.images import formats, jpeg_damage, png_header
from kcars.images.boxes import Box, decoding_scale, part_of
from kcars.images.formats import Header
from kcars.images.jpeg_header import JpegHeader
from kcars.images.memory import within_memory
from kcars.untrusted.reading import FOR_READING, MIB, refuse_irregular, unreadable

cv2.setNumThreads(0)  # The callers' threads already use all cores.

DECODE_VERSION = 5  # Part of every store's key: increase it when decoded pixels change.
_READ_AT = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # Orientation -> code of cv2.flip, after 5 to 8 are transposed.


def read_photo(path: Path, box: Box | None, size_px: int, crop: str, padding: float) -> np.ndarray:
    """(size_px, size_px, 3) uint8 RGB of a photo file, cropped to its box (`crop` "box") or whole.

    box: as in `boxes`, None for the whole photo. Raises KcarsError for a file that is missing, too large, damaged or not a
    photo, and for a refused box; MemoryError with the photo's name if memory is too short.
    """
    data = photo_bytes(path)
    try:  # As `named`, but faster.
        return decode(data, box if crop == "box" else None, size_px, padding)
    except ValueError as error:
        raise KcarsError(f"{path}: {error}") from None
    except MemoryError as error:
        raise MemoryError(f"{path}: {error}") from None


def photo_bytes(path: Path) -> bytes:
    """A photo file's content; raises KcarsError if it is missing or larger than `photo_mib`."""
    most = limits().photo_mib
    try:  # As `reading.opened`, but twice as fast.
        handle = os.open(path, FOR_READING)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    try:
        status = os.fstat(handle)
        refuse_irregular(path, status)
        if status.st_size > most * MIB:
            raise KcarsError(f"{path}: {status.st_size >> 20} MiB; a photo may have {most} (limit photo_mib)")
        return _whole(handle, status.st_size)
    except OSError as error:
        raise unreadable(path, error) from None
    finally:
        os.close(handle)


def _whole(handle: int, size: int) -> bytes:
    """The content of an open file, of which each read may return only a part."""
    content = os.read(handle, size)
    while len(content) < size and (more := os.read(handle, size - len(content))):
        content += more
    return content


@contextlib.contextmanager
def named(photo: Path | str) -> Iterator[None]:
    """Inside the block, a ValueError becomes a KcarsError, and it and a MemoryError get the photo's name."""
    try:
        yield
    except ValueError as error:
        raise KcarsError(f"{photo}: {error}") from None
    except MemoryError as error:
        raise MemoryError(f"{photo}: {error}") from None


def full_size(data: bytes) -> np.ndarray:
    """All pixels of encoded bytes, (h, w, 3) uint8 RGB, upright; errors as in `decode`."""
    return _pixels(formats.header(data), 1)


def small(data: bytes, size_px: int) -> np.ndarray:
    """As `full_size`, at 1/2 or 1/4 if the shorter side still has at least twice `size_px` pixels."""
    header = formats.header(data)
    return _pixels(header, decoding_scale(None, *header.upright, size_px))


def decode(data: bytes, box: Box | None, size_px: int, padding: float) -> np.ndarray:
    """Pixels of encoded bytes, cropped and resized; a JPEG is decoded at 1/2 or 1/4 if that loses nothing visible.

    Raises ValueError for bytes that are not a photo, a photo that is damaged or exceeds a limit, and a box that `boxes` refuses.
    Raises MemoryError if memory is too short.
    """
    header = formats.header(data)
    scale = decoding_scale(box, *header.upright, size_px)
    photo = _pixels(header, scale)
    left, top, right, bottom = part_of(*header.upright, box, padding, photo.shape[:2], scale)
    return resized(photo[top:bottom, left:right], size_px)


def cut(photo: np.ndarray, box: Box | None, padding: float) -> np.ndarray:
    """The part of a photo (h, w, 3) inside its box, as in `boxes.part_of`."""
    height, width = photo.shape[:2]
    left, top, right, bottom = part_of(height, width, box, padding)
    return photo[top:bottom, left:right]


def _pixels(header: Header, scale: int) -> np.ndarray:
    """RGB pixels at 1 / scale, upright."""

    def read() -> np.ndarray:
        return upright(_jpeg(header, scale) if header.jpeg else _other(header, scale), header.orientation)

    return within_memory(read, header.cost(scale))


def upright(photo: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels turned by the Exif orientation, 1 to 8."""
    turned = cv2.transpose(photo) if orientation >= 5 else photo
    flip = _FLIPS.get(orientation)
    return turned if flip is None else cv2.flip(turned, flip)


def _jpeg(header: Header, scale: int) -> np.ndarray:
    """Stored RGB pixels of a JPEG; raises ValueError if they do not all come from its bytes.

    simplejpeg returns the same pixels as OpenCV in four fifths of the time, and reports libjpeg's warnings.
    """
    jpeg = cast(JpegHeader, header.jpeg)
    data, scan, several = header.content, jpeg.first_scan, jpeg.several_scans
    smallest: Any = {
        "min_height": -(-header.height // scale),
        "min_width": -(-header.width // scale),
        "min_factor": scale,
    }
    if jpeg.components != 4 and jpeg_damage.ends_plainly(data, scan, several):
        try:
            return simplejpeg.decode_jpeg(data, **(smallest if scale > 1 else {}))
        except ValueError:
            pass
    formats.loaded(data)  # The strict reader raises where libjpeg cannot continue.
    if jpeg_damage.has_foreign_marker(data, scan, several):
        raise ValueError(formats.DAMAGED)
    photo = _by_opencv(data, scale)
    restarted = jpeg_damage.may_restart(data)
    if jpeg.components == 4 or jpeg_damage.ends_grey(photo) or restarted:
        for restarts in jpeg_damage.RESTARTS[: 1 + restarted]:
            padded = jpeg_damage.padded(data, scan, restarts)
            if padded is None or not np.array_equal(photo, _by_opencv(padded, scale)):
                raise ValueError(formats.DAMAGED)
    return photo


def _other(header: Header, scale: int) -> np.ndarray:
    """Stored RGB pixels of formats other than JPEG."""
    if header.kind == "PNG":
        png_header.refuse_other_content(header.content, limits())
    return _by_opencv(header.content, scale)


def _by_opencv(data: bytes, scale: int) -> np.ndarray:
    """Stored RGB pixels; raises ValueError if OpenCV cannot read them. OpenCV fills in truncated parts."""
    try:
        photo = cv2.imdecode(np.frombuffer(data, np.uint8), _READ_AT[scale] | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from None
        photo = None
    if photo is None:
        raise ValueError(formats.DAMAGED)
    return cv2.cvtColor(photo, cv2.COLOR_BGR2RGB)


def resized(photo: np.ndarray, size_px: int) -> np.ndarray:
    """Resize to a square; sides that shrink are averaged first to avoid aliasing."""
    height, width = photo.shape[:2]
    if height == size_px and width == size_px:
        return photo.copy()
    if height > size_px or width > size_px:
        height, width = min(height, size_px), min(width, size_px)
        photo = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
        if height == width:
            return photo
    return cv2.resize(photo, (size_px, size_px), interpolation=cv2.INTER_LINEAR)
