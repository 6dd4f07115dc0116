"""One photo file, examined: what is wrong with it, and by what its copies are known."""

import hashlib
import io
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from kcars.errors import KcarsError
from kcars.images.decode import LARGEST_BYTES, LARGEST_PIXELS

SMALLEST_SIDE_PX = 32
HASH_SIDE = 16
# Within how much the values of a blank photo lie, by mode. A palette's numbers are no brightness: one alone is blank.
BLANK = dict.fromkeys(("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"), 6) | {
    "I;16": 1542,
    "I": 1542,
    "P": 0,
    "PA": 0,
    "1": 0,
}
_ENDINGS = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "MPO": (".jpg", ".jpeg"),  # Several JPEGs in one file, as phones write them.
}
_ORIENTATION = 0x0112


@dataclass
class Examined:
    """faults: (kind, what was seen); digest: of the file's bytes, "" where they are no photo; hash: (32,) uint8, 256 bits of the picture's coarse
    structure (pHash), which survive resizing and compression; None where the photo cannot be decoded or is flat."""

    faults: list[tuple[str, str]] = field(default_factory=list)
    digest: str = ""
    hash: np.ndarray | None = None


def examine(path: Path, box: tuple[int, int, int, int]) -> Examined:
    """Decode the whole photo once. box: as in Index, -1 for the whole photo. Reads nothing of a file that is too large."""
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= LARGEST_BYTES else b""
    except OSError as error:
        return Examined([("missing", error.strerror or "")])
    if size > LARGEST_BYTES:
        return Examined([("too_large", f"{size >> 20} MiB")])
    if not data:
        return Examined([("empty", "0 bytes")])
    found = Examined()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _examine_photo(data, path, box, found)
    return found


def _examine_photo(data: bytes, path: Path, box, found: Examined) -> None:
    try:
        photo = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        found.faults.append(("too_large", str(error).partition(",")[0]))
        return
    except MemoryError:  # The machine is short of memory: that is no fault of the photo.
        raise
    except Exception as error:  # noqa: BLE001  Pillow's readers raise whatever a hostile file makes them.
        found.faults.append(("no_photo", f"{type(error).__name__}, starts with {data[:8]!r}"))
        return
    if photo.width * photo.height > LARGEST_PIXELS:
        found.faults.append(("too_large", f"{photo.width} x {photo.height} px"))
        return
    found.digest = hashlib.sha256(data).hexdigest()
    try:  # Pillow reads on wherever it is asked for something: for pixels, frames, and in a PNG for its orientation too.
        photo.load()
        kinds = _kinds(photo, path) + _box_faults(box, *_upright_size(photo)) + _blank(photo)
    except MemoryError:  # The machine is short of memory: that is no fault of the photo.
        raise
    except Exception as error:  # noqa: BLE001  As above.
        cut_short = "truncated" in str(error) or isinstance(error, EOFError)
        found.faults.append(("truncated" if cut_short else "no_photo", str(error)[:80]))
        return
    found.faults += kinds
    found.hash = _structure(photo)


def _kinds(photo: Image.Image, path: Path) -> list[tuple[str, str]]:
    faults = []
    if path.suffix.lower() not in _ENDINGS.get(photo.format, ()):
        faults.append(("wrong_ending", f"{photo.format} in {path.suffix or 'no ending'}"))
    if photo.format != "MPO" and getattr(photo, "n_frames", 1) > 1:
        faults.append(("animated", f"{photo.n_frames} frames"))
    if photo.mode == "CMYK":
        faults.append(("cmyk", photo.mode))
    if photo.mode.startswith("I") or photo.mode == "F" or photo.info.get("bits", 8) == 16:
        faults.append(("sixteen_bit", photo.mode))
    elif photo.mode in ("L", "LA", "1"):
        faults.append(("grey", photo.mode))
    if photo.mode in ("RGBA", "LA", "PA") or "transparency" in photo.info:
        faults.append(("transparent", photo.mode))
    if (orientation := photo.getexif().get(_ORIENTATION, 1)) not in (0, 1):
        faults.append(("rotated", f"orientation {orientation}"))
    if min(photo.size) < SMALLEST_SIDE_PX:
        faults.append(("tiny", f"{photo.width} x {photo.height} px"))
    return faults


def _blank(photo: Image.Image) -> list[tuple[str, str]]:
    """Whether it is of one colour all over, but for what compression adds: what a broken camera or download leaves."""
    if photo.mode not in BLANK:
        return []
    bands = photo.getextrema() if len(photo.getbands()) > 1 else [photo.getextrema()]
    spread = max(most - least for band, (least, most) in zip(photo.getbands(), bands, strict=True) if band != "A")
    return [("blank", f"all values within {spread}")] if spread <= BLANK[photo.mode] else []


def _upright_size(photo: Image.Image) -> tuple[int, int]:
    """Width and height once the orientation is applied, in which boxes count."""
    turned = photo.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    return photo.size[::-1] if turned else photo.size


def _box_faults(box, width: int, height: int) -> list[tuple[str, str]]:
    left, top, right, bottom = (int(edge) for edge in box)
    if left < 0 or (right <= width and bottom <= height):
        return []
    return [("box_outside", f"{left} {top} {right} {bottom} in {width} x {height} px")]


def _structure(photo: Image.Image) -> np.ndarray | None:
    try:
        import imagehash
    except ImportError:
        raise KcarsError("ImageHash is not installed; run: pip install 'kcars[check]'") from None

    grey = photo.convert("L")
    grey.thumbnail((256, 256))
    if np.asarray(grey).std() < 4:  # A flat photo is like every other flat one.
        return None
    return np.packbits(imagehash.phash(grey, hash_size=HASH_SIDE).hash)
