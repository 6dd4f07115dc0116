"""One photo: JPEG or PNG bytes -> cropped, resized uint8 square."""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from kcars.errors import KcarsError

cv2.setNumThreads(0)  # The callers' threads already fill the cores.

DECODE_VERSION = 2  # Part of every store's key: raise it when the pixels that come out change.
LARGEST_BYTES = 64 * 2**20
LARGEST_PIXELS = 100_000_000  # 300 MB as RGB.
NO_PHOTO = "no photo that can be decoded; JPEG, PNG, WebP and BMP are known"
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # Our own bound says it in one line.


def read_photo(path: Path, box: np.ndarray, size_px: int, crop: str, padding: float) -> np.ndarray:
    """(size_px, size_px, 3) uint8 RGB of a photo file, cut to its box (`crop` "box") or whole.

    box: left, top, right, bottom in pixels, half-open; -1 for the whole photo. Raises KcarsError for a file that is
    missing, too large or no photo.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise KcarsError(f"{path}: larger than {LARGEST_BYTES >> 20} MiB, which no photo here should be")
        data = path.read_bytes()
    except OSError as error:
        raise KcarsError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return decode(data, box if crop == "box" else None, size_px, padding)
    except ValueError as error:
        raise KcarsError(f"{path}: {error}") from None


def decode(data: bytes, box: np.ndarray | None, size_px: int, padding: float) -> np.ndarray:
    """Pixels of encoded bytes, cut and resized; decoded at half scale where that loses nothing visible.

    Raises ValueError for bytes that are no photo, a photo that ends too early, or one of too many pixels.
    """
    _check(data)
    scale = 1
    if box is not None and box[0] >= 0 and min(box[2] - box[0], box[3] - box[1]) >= 4 * size_px:
        scale = 2
    flag = cv2.IMREAD_REDUCED_COLOR_2 if scale == 2 else cv2.IMREAD_COLOR
    try:
        photo = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:
        photo = None
    if photo is None:
        raise ValueError(NO_PHOTO)
    return cv2.cvtColor(_resize(cut(photo, box, padding, scale), size_px), cv2.COLOR_BGR2RGB)


def _check(data: bytes) -> None:
    """Pillow reads the header: OpenCV would allocate what a hostile one asks for, and fill up what is cut off."""
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
        return
    try:  # Not a JPEG, or one whose end is not in sight: the strict reader decides.
        photo.load()
    except MemoryError:  # The machine is short of memory: that is no fault of the photo.
        raise
    except Exception as error:  # noqa: BLE001  As above.
        raise ValueError(f"ends too early or is damaged ({str(error)[:80]})") from None


def cut(photo: np.ndarray, box: np.ndarray | None, padding: float, scale: int = 1) -> np.ndarray:
    """The part of a photo inside its box, widened by `padding` of its sides and kept within the photo."""
    if box is None or box[0] < 0:
        return photo
    height, width = photo.shape[:2]
    left, top, right, bottom = (float(edge) / scale for edge in box)
    wider, higher = (right - left) * padding, (bottom - top) * padding
    left, right = max(0, round(left - wider)), min(width, round(right + wider))
    top, bottom = max(0, round(top - higher)), min(height, round(bottom + higher))
    return photo[top:bottom, left:right] if right > left and bottom > top else photo


def _resize(photo: np.ndarray, size_px: int) -> np.ndarray:
    """Plain resize to a square; sides that shrink are averaged first, so that nothing aliases."""
    height, width = (min(side, size_px) for side in photo.shape[:2])
    shrunk = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (size_px, size_px), interpolation=cv2.INTER_LINEAR)
