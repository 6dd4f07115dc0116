"""One photo: bytes of a JPEG, PNG, WebP or BMP file -> cropped, resized uint8 square."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from kcars.errors import KcarsError
from kcars.images import formats, png_header
from kcars.images.formats import Header
from kcars.images.room import within_memory
from kcars.limits import limits
from kcars.untrusted import FOR_READING, MIB, refuse_irregular, unreadable

cv2.setNumThreads(0)  # The callers' threads already fill the cores.

DECODE_VERSION = 4  # Part of every store's key: raise it when the pixels that come out change.
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
# 1/8 would save little more: an edge that falls between its pixels is then off by a tenth of a pixel of the result.
_READ_AT = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}


def read_photo(path: Path, box: np.ndarray, size_px: int, crop: str, padding: float) -> np.ndarray:
    """(size_px, size_px, 3) uint8 RGB of a photo file, cut to its box (`crop` "box") or whole.

    box: left, top, right, bottom in pixels, half-open; -1 for the whole photo. Raises KcarsError for a file that is
    missing, too large or no photo, and MemoryError, which names it, where memory is too short.
    """
    data = photo_bytes(path)
    try:  # As `named`, in less time.
        return decode(data, box if crop == "box" else None, size_px, padding)
    except ValueError as error:
        raise KcarsError(f"{path}: {error}") from None
    except MemoryError as error:
        raise MemoryError(f"{path}: {error}") from None


def photo_bytes(path: Path) -> bytes:
    """A photo file's content; KcarsError where there is none, or more than `photo_mib`."""
    most = limits().photo_mib
    try:  # As `untrusted.opened`, in half of its time.
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
    """The content of an open file, of which a call may give only a part."""
    content = os.read(handle, size)
    while len(content) < size and (more := os.read(handle, size - len(content))):
        content += more
    return content


@contextlib.contextmanager
def named(photo: Path | str) -> Iterator[None]:
    """Inside the block, a ValueError becomes a KcarsError, and both it and a MemoryError name the photo."""
    try:
        yield
    except ValueError as error:
        raise KcarsError(f"{photo}: {error}") from None
    except MemoryError as error:
        raise MemoryError(f"{photo}: {error}") from None


def full_size(data: bytes) -> np.ndarray:
    """All pixels of encoded bytes, (h, w, 3) uint8 RGB, upright; errors as in `decode`."""
    return _pixels(data, None, None)[0]


def small(data: bytes, size_px: int) -> np.ndarray:
    """As `full_size`, at 1/2 or 1/4 where the shorter side still has twice as many pixels as asked for."""
    return _pixels(data, None, size_px)[0]


def decode(data: bytes, box: np.ndarray | None, size_px: int, padding: float, strict: bool = False) -> np.ndarray:
    """Pixels of encoded bytes, cut and resized; a JPEG is decoded at 1/2 or 1/4 where that loses nothing visible.

    Raises ValueError for bytes that are no photo, a photo that ends too early, one beyond a limit, and, with `strict`, for a
    box outside of it, which means the whole photo without. Raises MemoryError where the memory for it cannot be had.
    """
    photo, scale = _pixels(data, box, size_px)
    return resized(cut(photo, box, padding, scale, strict), size_px)


def _pixels(data: bytes, box: np.ndarray | None, size_px: int | None) -> tuple[np.ndarray, int]:
    """(RGB pixels, scale), at full scale without a size."""
    header = formats.header(data)
    scale = 1 if size_px is None else decoding_scale(box, header.height, header.width, size_px)

    def read() -> np.ndarray:
        pixels = _plain_jpeg(header, scale) if header.plain else None
        return _any_photo(header, scale) if pixels is None else pixels

    return within_memory(read, header.cost(scale)), scale


def _plain_jpeg(header: Header, scale: int) -> np.ndarray | None:
    """RGB pixels of a faultless JPEG as nearly all are: YCbCr, upright. None for any other.

    simplejpeg gives the pixels of OpenCV's reader to the bit and takes four fifths of its time; it tells what is cut off.
    """
    data = header.content
    smallest = {"min_height": -(-header.height // scale), "min_width": -(-header.width // scale), "min_factor": scale}
    try:
        if simplejpeg.decode_jpeg_header(data)[2] != "YCbCr":
            return None
        return simplejpeg.decode_jpeg(data, **(smallest if scale > 1 else {}))
    except ValueError:
        return None


def _any_photo(header: Header, scale: int) -> np.ndarray:
    """RGB pixels by OpenCV, which fills up what is cut off; ValueError where that is so, and for what it cannot read."""
    data = header.content
    if header.kind == "PNG":
        png_header.refuse_other_content(data, limits())
    elif header.kind == "JPEG" and data.rfind(_END_OF_IMAGE) <= data.rfind(_START_OF_SCAN):
        formats.loaded(data)  # The strict reader decides.
    try:
        photo = cv2.imdecode(np.frombuffer(data, np.uint8), _READ_AT[scale])
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from None
        photo = None
    if photo is None:
        raise ValueError(formats.DAMAGED)
    return cv2.cvtColor(photo, cv2.COLOR_BGR2RGB)


def decoding_scale(box: np.ndarray | None, height: int, width: int, size_px: int) -> int:
    """By how much a photo may be decoded smaller: what is cut out then still has twice the side that it is resized to."""
    if box is not None and box[0] >= 0:  # What lies outside of the photo shows nothing.
        inside = min(box[2], width) - box[0], min(box[3], height) - max(box[1], 0)
        width, height = inside if min(inside) > 0 else (width, height)
    return max(scale for scale in _READ_AT if scale == 1 or min(height, width) >= 2 * scale * size_px)


def cut(photo: np.ndarray, box: np.ndarray | None, padding: float, scale: int = 1, strict: bool = False) -> np.ndarray:
    """The part of a photo inside its box, as `part_of` has it."""
    left, top, right, bottom = part_of(photo.shape, box, padding, scale, strict)
    return photo[top:bottom, left:right]


def part_of(
    shape: tuple, box: np.ndarray | None, padding: float, scale: int = 1, strict: bool = False
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a box in a photo of a shape (h, w, ...), widened by `padding` of its sides and kept within.

    A box outside of the photo means the whole, or with `strict` a ValueError.
    """
    height, width = shape[:2]
    if box is None or box[0] < 0:
        return 0, 0, width, height
    left, top, right, bottom = (float(edge) / scale for edge in box)
    wider, higher = (right - left) * padding, (bottom - top) * padding
    left, right = max(0, round(left - wider)), min(width, round(right + wider))
    top, bottom = max(0, round(top - higher)), min(height, round(bottom + higher))
    if right > left and bottom > top:
        return left, top, right, bottom
    if strict:
        raise ValueError("the box lies outside of the photo")
    return 0, 0, width, height


def resized(photo: np.ndarray, size_px: int) -> np.ndarray:
    """Plain resize to a square; sides that shrink are averaged first, so that nothing aliases."""
    height, width = photo.shape[:2]
    if height == size_px and width == size_px:
        return photo.copy()
    if height > size_px or width > size_px:
        height, width = min(height, size_px), min(width, size_px)
        photo = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
        if height == width:
            return photo
    return cv2.resize(photo, (size_px, size_px), interpolation=cv2.INTER_LINEAR)
