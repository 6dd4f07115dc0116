"""One photo: JPEG or PNG bytes -> cropped, resized uint8 square."""

import io
import stat
import warnings
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from kcars.errors import KcarsError

cv2.setNumThreads(0)  # The callers' threads already fill the cores.

DECODE_VERSION = 4  # Part of every store's key: raise it when the pixels that come out change.
LARGEST_BYTES = 64 * 2**20
LARGEST_PIXELS = 100_000_000  # 300 MB as RGB.
NO_PHOTO = "no photo that can be decoded; JPEG, PNG, WebP and BMP are known"
_START_OF_JPEG, _START_OF_SCAN, _END_OF_IMAGE, _EXIF = b"\xff\xd8", b"\xff\xda", b"\xff\xd9", b"Exif\0\0"
# 1/8 would save little more: an edge that falls between its pixels is then off by a tenth of a pixel of the result.
_READ_AT = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # Our own bound says it in one line.


def read_photo(path: Path, box: np.ndarray, size_px: int, crop: str, padding: float) -> np.ndarray:
    """(size_px, size_px, 3) uint8 RGB of a photo file, cut to its box (`crop` "box") or whole.

    box: left, top, right, bottom in pixels, half-open; -1 for the whole photo. Raises KcarsError for a file that is
    missing, too large or no photo.
    """
    data = photo_bytes(path)
    try:
        return decode(data, box if crop == "box" else None, size_px, padding)
    except ValueError as error:
        raise KcarsError(f"{path}: {error}") from None


def photo_bytes(path: Path) -> bytes:
    """A photo file's content; KcarsError where there is none, or more than a photo should have."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # A pipe or a device may never end.
            raise KcarsError(f"{path}: is no file")
        if status.st_size > LARGEST_BYTES:
            raise KcarsError(f"{path}: larger than {LARGEST_BYTES >> 20} MiB, which no photo here should be")
        return path.read_bytes()
    except OSError as error:
        raise KcarsError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # A name that no file can have.
        raise KcarsError(f"{str(path)!r}: cannot be read ({error})") from None


def full_size(data: bytes) -> np.ndarray:
    """All pixels of encoded bytes, (h, w, 3) uint8 RGB, upright; ValueError as in `decode`."""
    return (_plain_jpeg(data, None, LARGEST_PIXELS) or _any_photo(data, None, LARGEST_PIXELS))[0]


def decode(data: bytes, box: np.ndarray | None, size_px: int, padding: float, strict: bool = False) -> np.ndarray:
    """Pixels of encoded bytes, cut and resized; a JPEG is decoded at 1/2 or 1/4 where that loses nothing visible.

    Raises ValueError for bytes that are no photo, a photo that ends too early, one of too many pixels, and, with `strict`,
    for a box outside of it, which means the whole photo without.
    """
    photo, scale = _plain_jpeg(data, box, size_px) or _any_photo(data, box, size_px)
    return resized(cut(photo, box, padding, scale, strict), size_px)


def _plain_jpeg(data: bytes, box: np.ndarray | None, size_px: int) -> tuple[np.ndarray, int] | None:
    """(RGB pixels, scale) of a faultless JPEG as nearly all are: YCbCr, upright. None for any other bytes.

    simplejpeg gives the pixels of OpenCV's reader to the bit and takes four fifths of its time; it tells what is cut off.
    """
    if not data.startswith(_START_OF_JPEG) or _EXIF in data:  # Which may ask for a turn.
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours != "YCbCr" or height * width > LARGEST_PIXELS:
            return None
        scale = decoding_scale(box, height, width, size_px)
        smallest = {"min_height": -(-height // scale), "min_width": -(-width // scale), "min_factor": scale}
        return simplejpeg.decode_jpeg(data, **(smallest if scale > 1 else {})), scale
    except ValueError:
        return None


def _any_photo(data: bytes, box: np.ndarray | None, size_px: int) -> tuple[np.ndarray, int]:
    """(RGB pixels, scale) of whatever Pillow's header reader and OpenCV know; ValueError for the rest."""
    height, width = _check(data)
    scale = decoding_scale(box, height, width, size_px)
    try:
        photo = cv2.imdecode(np.frombuffer(data, np.uint8), _READ_AT[scale])
    except cv2.error:
        photo = None
    if photo is None:
        raise ValueError(NO_PHOTO)
    return cv2.cvtColor(photo, cv2.COLOR_BGR2RGB), scale


def decoding_scale(box: np.ndarray | None, height: int, width: int, size_px: int) -> int:
    """By how much a photo may be decoded smaller: what is cut out then still has twice the side that it is resized to."""
    if box is not None and box[0] >= 0:  # What lies outside of the photo shows nothing.
        inside = min(box[2], width) - box[0], min(box[3], height) - max(box[1], 0)
        width, height = inside if min(inside) > 0 else (width, height)
    return max(scale for scale in _READ_AT if scale == 1 or min(height, width) >= 2 * scale * size_px)


def _check(data: bytes) -> tuple[int, int]:
    """Height and width as stored. Pillow reads the header: OpenCV would allocate what a hostile one asks for, and fill
    up what is cut off."""
    try:
        photo = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError:
        raise ValueError(f"more than the {LARGEST_PIXELS / 1e6:.0f} million pixels that a photo may have") from None
    except MemoryError:  # The machine is short of memory: that is no fault of the photo.
        raise
    except Exception:  # noqa: BLE001  Pillow's readers raise whatever a hostile file makes them.
        raise ValueError(NO_PHOTO) from None
    if photo.width * photo.height > LARGEST_PIXELS:
        raise ValueError(f"{photo.width} x {photo.height} pixels; a photo may have {LARGEST_PIXELS / 1e6:.0f} million")
    if photo.format in ("JPEG", "MPO") and data.rfind(_END_OF_IMAGE) > data.rfind(_START_OF_SCAN):
        return photo.height, photo.width
    try:  # Not a JPEG, or one whose end is not in sight: the strict reader decides.
        photo.load()
    except MemoryError:  # The machine is short of memory: that is no fault of the photo.
        raise
    except Exception as error:  # noqa: BLE001  As above.
        raise ValueError(f"ends too early or is damaged ({str(error)[:80]})") from None
    return photo.height, photo.width


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
    height, width = (min(side, size_px) for side in photo.shape[:2])
    shrunk = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (size_px, size_px), interpolation=cv2.INTER_LINEAR)
