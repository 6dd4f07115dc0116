"""Examines one photo file: its faults, and hashes that identify copies."""

import hashlib
import io
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.images import formats
from kcars.images.boxes import Box, clipped
from kcars.images.decode import full_size, photo_bytes
from kcars.untrusted.reading import MIB

SMALLEST_SIDE_PX = 32
HASH_SIDE = 16
BLANK = 6  # Range of the pixel values of a blank photo.
_XMP_TURN = re.compile(rb"tiff:Orientation(?:>|\s{0,9}=\s{0,9}[\"'])\s{0,9}([2-8])")
_ENDINGS = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
}


@dataclass
class Examined:
    """faults: (kind, detail); digest: of the file's bytes, "" if it is not a photo; hash: (32,) uint8, 256 bits of the coarse
    structure (pHash), robust to resizing and compression; None if the photo cannot be decoded or is uniform."""

    faults: list[tuple[str, str]] = field(default_factory=list)
    digest: str = ""
    hash: np.ndarray | None = None


def examine(path: Path, box: Box | None, most_bytes: int | None = None) -> Examined | None:
    """Decode the whole photo once, as for training and prediction. A file that is too large is not read.

    Returns None for a photo that needs more than `most_bytes` of memory, which is not decoded. Raises MemoryError with the
    photo's name if memory is too short.
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
        photo = Image.fromarray(full_size(data))
    except MemoryError as error:
        raise MemoryError(f"{path}: {error}") from None
    except ValueError as error:
        return Examined([*_wrong_ending(header, path), _spoilt(error, data)], hashlib.sha256(data).hexdigest())
    faults = [*_wrong_ending(header, path), *_kinds(data, header), *_box_faults(box, *header.upright), *_blank(photo)]
    return Examined(faults, hashlib.sha256(data).hexdigest(), _structure(photo))


def _content(path: Path) -> tuple[bytes, tuple[str, str] | None]:
    """A file's bytes, or the fault because of which they are not read."""
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
    message = str(error)
    if message == formats.NO_PHOTO:
        return "no_photo", f"starts with {data[:8]!r}"
    return "truncated" if message == formats.DAMAGED or "truncated" in message else "no_photo", message[:120]


def _wrong_ending(header: formats.Header, path: Path) -> list[tuple[str, str]]:
    if path.suffix.lower() in _ENDINGS[header.kind]:
        return []
    return [("wrong_ending", f"{header.kind} in {path.suffix or 'no ending'}")]


def _kinds(data: bytes, header: formats.Header) -> list[tuple[str, str]]:
    mode, frames, see_through = _stored(header)
    faults = [("animated", f"{frames} frames")] if frames > 1 else []
    if mode == "CMYK":
        faults.append(("cmyk", mode))
    if header.sixteen_bit:
        faults.append(("sixteen_bit", mode))
    if mode in ("L", "LA", "1") or mode.startswith("I"):
        faults.append(("grey", mode))
    if see_through:
        faults.append(("transparent", mode))
    if header.orientation != 1:
        faults.append(("rotated", f"orientation {header.orientation}"))
    elif turn := _turn_not_applied(data, header):
        faults.append(("turn_not_applied", turn))
    if min(header.height, header.width) < SMALLEST_SIDE_PX:
        faults.append(("tiny", f"{header.width} x {header.height} px"))
    return faults


def _stored(header: formats.Header) -> tuple[str, int, bool]:
    """(Pillow's name of the colour mode, number of frames, whether there is transparency), from the file's header."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            photo = Image.open(io.BytesIO(header.content), formats=[header.kind])
            see_through = photo.mode in ("RGBA", "LA", "PA") or "transparency" in photo.info
            return photo.mode, getattr(photo, "n_frames", 1), see_through
        except Exception:  # noqa: BLE001  Pillow's readers may raise anything; the photo is decoded already.
            return "RGB", 1, False


def _turn_not_applied(data: bytes, header: formats.Header) -> str:
    """The orientation tag that kcars, like OpenCV, TensorFlow and browsers, does not apply; "" for none."""
    if header.asked > 8:
        return f"orientation {header.asked} in Exif; 1 to 8 are known"
    found = _XMP_TURN.search(data)
    return f"orientation {found.group(1).decode()} in XMP" if found and not header.asked else ""


def _blank(photo: Image.Image) -> list[tuple[str, str]]:
    """A fault if the photo has one colour, except for compression noise, as from a broken camera or download."""
    spread = max(most - least for least, most in photo.getextrema())  # pyright: ignore[reportGeneralTypeIssues]  Of each channel of RGB.
    return [("blank", f"all values within {spread}")] if spread <= BLANK else []


def _box_faults(box: Box | None, height: int, width: int) -> list[tuple[str, str]]:
    if box is None:
        return []
    edges = " ".join(f"{edge:g}" for edge in box)
    try:
        inside = clipped(box, height, width)
    except ValueError:
        return [("box_empty", f"{edges} in {width} x {height} px")]
    return [] if inside == tuple(box) else [("box_outside", f"{edges} in {width} x {height} px")]


def _structure(photo: Image.Image) -> np.ndarray | None:
    try:
        import imagehash
    except ImportError:
        raise KcarsError("ImageHash is not installed; run: pip install 'kcars[check]'") from None

    grey = photo.convert("L")
    grey.thumbnail((256, 256))
    if np.asarray(grey).std() < 4:  # All uniform photos are similar to each other.
        return None
    return np.packbits(imagehash.phash(grey, hash_size=HASH_SIDE).hash)
