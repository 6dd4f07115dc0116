"""Small upright images of photo files for pages and sheets, and of the pixels that the network received."""

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from kcars.core.errors import KcarsError
from kcars.images.decode import photo_bytes, small


def thumbnail(path: Path, width_px: int, height_px: int) -> Image.Image | None:
    """The upright photo in RGB, reduced to at most width_px x height_px; None if it cannot be decoded."""
    try:
        picture = Image.fromarray(small(photo_bytes(path), max(width_px, height_px)))
    except (KcarsError, ValueError):  # A broken photo is not an error here.
        return None
    picture.thumbnail((width_px, height_px))
    return picture


def jpeg(pixels: np.ndarray, most_px: int) -> bytes:
    """Square pixels (n, n, 3) uint8 as a JPEG file of at most `most_px` per side."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((most_px, most_px))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=80, optimize=True)
    return content.getvalue()


def thumbnail_name(path: str) -> str:
    """The file name of a photo's thumbnail in a run folder."""
    return hashlib.blake2b(path.encode(), digest_size=8).hexdigest() + ".jpg"
