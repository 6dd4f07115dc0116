"""Small upright pictures of photo files, for pages and sheets."""

from pathlib import Path

from PIL import Image, ImageOps


def thumbnail(path: Path, width_px: int, height_px: int) -> Image.Image | None:
    """The photo as RGB, upright, no larger than asked for, its shape kept; None where it cannot be decoded."""
    try:
        with Image.open(path) as photo:
            photo.draft("RGB", (width_px, height_px))
            small = ImageOps.exif_transpose(photo).convert("RGB")
            small.thumbnail((width_px, height_px))
            return small
    except Exception:  # noqa: BLE001  A broken photo is no fault here, and Pillow raises whatever it makes it.
        return None
