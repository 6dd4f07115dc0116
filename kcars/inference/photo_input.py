"""Converts photos given in Python: paths, encoded bytes, open files, Pillow images, pixels."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.images.formats import EXIF, orientation_in
from kcars.inference.photo_source import Box, Photo, shown

TAKEN = (
    "a path, encoded bytes, a file opened in binary mode, a Pillow image, or pixels of uint8, (height, width, 3) RGB, "
    "(height, width, 4) RGBA or (height, width) grey, can be read"
)
_CHANNELS = (1, 3, 4)
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX")  # At most 8 bits, with an unambiguous conversion to RGB.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def photos_from(given) -> Iterable:
    """Return the photos of an argument; a single photo counts as a list of one. KcarsError for anything else."""
    if _is_one(given):
        return [given]
    try:
        if isinstance(given, Mapping):
            raise TypeError
        return iter(given)
    except TypeError:
        raise KcarsError(
            f"photos: {type(given).__name__} given; a list of photos is expected, or one: {TAKEN}"
        ) from None


def photo_or_fault(given) -> Photo:
    """Return `as_photo(given)`, or a Photo with a `fault` if it cannot be read."""
    try:
        return as_photo(given)
    except KcarsError as error:
        return Photo(_name(given), b"", fault=error)


def as_photo(given) -> Photo:
    """Convert an input listed in TAKEN, or a Photo with such a source, to a Photo; KcarsError for anything else.

    The Exif orientation of a Pillow image is applied. An alpha channel is dropped. A file is read from its current position.
    """
    name = _name(given)
    if isinstance(given, Photo):
        return replace(given, name=name, source=_source(given.source, name), box=_box(given.box, name))
    return Photo(name, _source(given, name))


def _is_one(given) -> bool:
    if isinstance(given, Photo | str | os.PathLike | bytes | bytearray | memoryview | Image.Image) or hasattr(
        given, "read"
    ):
        return True
    shape = getattr(given, "shape", None)
    return isinstance(shape, tuple) and (len(shape) in (0, 2) or (len(shape) == 3 and shape[2] in _CHANNELS))


def _name(given) -> str:
    """Return the name of a photo for predictions and messages."""
    if isinstance(given, Photo):
        return given.name if isinstance(given.name, str) else str(given.name)
    if isinstance(given, str | os.PathLike):
        try:
            return shown(os.fspath(given))
        except UnicodeEncodeError:  # Not a valid file name.
            return ascii(given)
    if isinstance(given, bytes | bytearray | memoryview):
        return "bytes"
    if isinstance(given, Image.Image):
        return _name(getattr(given, "filename", "") or "image")
    if hasattr(given, "read"):
        named = getattr(given, "name", None)
        return _name(named) if isinstance(named, str | os.PathLike) and named else "file"
    return "pixels" if hasattr(given, "__array__") else "photo"


def _source(given, name: str) -> Path | bytes | np.ndarray:
    if isinstance(given, str | os.PathLike):
        return Path(os.fsdecode(given))
    if isinstance(given, bytes | bytearray | memoryview):
        return _bounded(bytes(given), name)
    if isinstance(given, Image.Image):
        return _pixels_of_image(given, name)
    if hasattr(given, "read"):
        return _content(given, name)
    if hasattr(given, "__array__"):
        return _pixels_of_array(given, name)
    raise KcarsError(f"{name}: is {type(given).__name__}; {TAKEN}")


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > limits().photo_mib << 20:
        raise KcarsError(f"{name}: larger than {limits().photo_mib} MiB, the limit for photos")
    return data


def _content(file, name: str) -> bytes:
    """Read the rest of an open file, up to the limit for photos."""
    try:
        data = file.read((limits().photo_mib << 20) + 1)
    except (OSError, ValueError, TypeError) as error:  # ValueError: a closed file, or invalid text.
        raise KcarsError(
            f"{name}: cannot be read ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        ) from None
    if not isinstance(data, bytes | bytearray | memoryview):
        raise KcarsError(
            f'{name}: its read() returns {type(data).__name__}; open the file in binary mode, open(path, "rb")'
        )
    return _bounded(bytes(data), name)


def _pixels_of_image(image: Image.Image, name: str) -> np.ndarray:
    if image.width * image.height > limits().photo_megapixels * 1_000_000:
        raise KcarsError(
            f"{name}: {image.width} x {image.height} pixels; a photo may have {limits().photo_megapixels} million"
        )
    if image.mode not in _MODES:
        raise KcarsError(
            f'{name}: a Pillow image of mode {image.mode}; {", ".join(_MODES)} can be read: use convert("RGB")'
        )
    try:
        pixels = image.convert("RGB")
        exif = image.info.get("exif") or b""
        if (turn := _TURNS.get(orientation_in(exif.removeprefix(EXIF)))) is not None:
            pixels = pixels.transpose(turn)
        return _pixels_of_array(pixels, name)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  Pillow reads lazily, and raises any error for a damaged file.
        raise KcarsError(f"{name}: ends too early or is damaged ({str(error)[:80]})") from None


def _pixels_of_array(given, name: str) -> np.ndarray:
    """Return contiguous (h, w, 3) uint8 from pixels with one, three or four channels."""
    try:
        pixels = np.asarray(given)
    except Exception as error:  # noqa: BLE001  Tensor libraries have their own errors.
        raise KcarsError(
            f"{name}: cannot be converted from {type(given).__name__} to pixels ({str(error)[:80]}); {TAKEN}"
        ) from None
    grey = pixels[..., None] if pixels.ndim == 2 else pixels
    if grey.dtype != np.uint8 or grey.ndim != 3 or grey.shape[2] not in _CHANNELS or not grey.size:
        raise KcarsError(f"{name}: is an array {pixels.shape} of {pixels.dtype}; {TAKEN}")
    return np.ascontiguousarray(np.repeat(grey, 3, axis=2) if grey.shape[2] == 1 else grey[..., :3])


def _box(given, name: str) -> Box | None:
    if given is None:
        return None
    try:
        box = tuple(float(edge) for edge in given)
    except (TypeError, ValueError, OverflowError):
        box = ()
    if len(box) != 4 or not np.isfinite(box).all():
        raise KcarsError(f"{name}: {given!r} is not a box; give four numbers: left, top, right, bottom in pixels")
    return box
