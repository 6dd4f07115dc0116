"""The contact sheet of a group: its photos, as the model sees them, under a line that says which group it is."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from kcars.errors import KcarsError
from kcars.files import written_whole
from kcars.gallery.photos import Kept
from kcars.images.decode import read_photo

COLUMNS, MOST, TILE_PX, TITLE_PX, GREY = 8, 48, 120, 18, (200, 200, 200)


def write_sheet(file: Path, title: str, photos: Sequence[Kept], padding: float) -> None:
    """A JPEG of the first MOST photos, cut to their boxes with the model's padding; one that is gone is a grey tile."""
    shown = photos[:MOST]
    lines = -(-len(shown) // COLUMNS)
    sheet = Image.new("RGB", (min(len(shown), COLUMNS) * TILE_PX, TITLE_PX + lines * TILE_PX), "white")
    told = title if len(shown) == len(photos) else f"{title}, {len(shown)} of them shown"
    ImageDraw.Draw(sheet).text((2, 3), told, "black")
    for place, photo in enumerate(shown):
        line, column = divmod(place, COLUMNS)
        sheet.paste(_tile(photo, padding), (column * TILE_PX, TITLE_PX + line * TILE_PX))
    with written_whole(file, "wb") as out:
        sheet.save(out, "JPEG", quality=85)


def _tile(photo: Kept, padding: float) -> Image.Image:
    try:
        box = np.array(photo.box or (-1, -1, -1, -1))
        return Image.fromarray(read_photo(Path(photo.path), box, TILE_PX, "box", padding))
    except KcarsError:
        return Image.new("RGB", (TILE_PX, TILE_PX), GREY)
