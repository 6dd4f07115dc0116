"""One photo file, examined: what is wrong with it, and by what its copies are known."""

import hashlib
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from kcars.errors import KcarsError
from kcars.images import formats
from kcars.images.decode import photo_bytes
from kcars.images.room import within_memory
from kcars.limits import limits
from kcars.untrusted import MIB

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
}


@dataclass
class Examined:
    """faults: (kind, what was seen); digest: of the file's bytes, "" where they are no photo; hash: (32,) uint8, 256 bits of the picture's coarse
    structure (pHash), which survive resizing and compression; None where the photo cannot be decoded or is flat."""

    faults: list[tuple[str, str]] = field(default_factory=list)
    digest: str = ""
    hash: np.ndarray | None = None


def examine(path: Path, box: tuple[int, int, int, int], most_bytes: int | None = None) -> Examined | None:
    """Decode the whole photo once. box: as in Index, -1 for the whole photo. Reads nothing of a file that is too large.

    None for a photo that takes more than `most_bytes` of memory, which is not decoded. Raises MemoryError, which names the
    photo, where memory is too short.
    """
    data, fault = _content(path)
    if fault:
        return Examined([fault])
    try:
        header = formats.header(data)
    except formats.BeyondLimit as error:
        return Examined([("too_large", str(error))])
    except ValueError as error:
        return Examined([_spoilt(error, data)])
    if most_bytes is not None and header.cost() > most_bytes:
        return None
    try:
        return within_memory(lambda: _examined(data, header, path, box), header.cost())
    except MemoryError as error:
        raise MemoryError(f"{path}: {error}") from None
    except ValueError as error:
        return Examined([*_wrong_ending(header, path), _spoilt(error, data)], hashlib.sha256(data).hexdigest())


def _content(path: Path) -> tuple[bytes, tuple[str, str] | None]:
    """A file's bytes, or why they are not read."""
    try:
        size, most = path.stat().st_size, limits().photo_mib
        if size > most * MIB:
            return b"", ("too_large", f"{size >> 20} MiB; a photo may have {most} (limit photo_mib)")
        data = photo_bytes(path)
    except OSError as error:
        return b"", ("missing", error.strerror or "")
    except KcarsError as error:
        return b"", ("missing", str(error).removeprefix(f"{path}: "))
    return data, None if data else ("empty", "0 bytes")


def _spoilt(error: ValueError, data: bytes) -> tuple[str, str]:
    told = str(error)
    if told == formats.NO_PHOTO:
        return "no_photo", f"starts with {data[:8]!r}"
    return "truncated" if told == formats.DAMAGED or "truncated" in told else "no_photo", told[:120]


def _examined(data: bytes, header: formats.Header, path: Path, box) -> Examined:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        photo = formats.loaded(data)
        faults = (
            _wrong_ending(header, path)
            + _kinds(photo, header)
            + _box_faults(box, *_upright_size(header))
            + _blank(photo)
        )
        return Examined(faults, hashlib.sha256(data).hexdigest(), _structure(photo))


def _wrong_ending(header: formats.Header, path: Path) -> list[tuple[str, str]]:
    if path.suffix.lower() in _ENDINGS[header.kind]:
        return []
    return [("wrong_ending", f"{header.kind} in {path.suffix or 'no ending'}")]


def _kinds(photo: Image.Image, header: formats.Header) -> list[tuple[str, str]]:
    faults = []
    if getattr(photo, "n_frames", 1) > 1:
        faults.append(("animated", f"{photo.n_frames} frames"))
    if photo.mode == "CMYK":
        faults.append(("cmyk", photo.mode))
    if photo.mode.startswith("I") or photo.mode == "F" or photo.info.get("bits", 8) == 16:
        faults.append(("sixteen_bit", photo.mode))
    elif photo.mode in ("L", "LA", "1"):
        faults.append(("grey", photo.mode))
    if photo.mode in ("RGBA", "LA", "PA") or "transparency" in photo.info:
        faults.append(("transparent", photo.mode))
    if header.orientation != 1:
        faults.append(("rotated", f"orientation {header.orientation}"))
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


def _upright_size(header: formats.Header) -> tuple[int, int]:
    """Width and height once the orientation is applied, in which boxes count."""
    size = header.width, header.height
    return size[::-1] if header.orientation in (5, 6, 7, 8) else size


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
