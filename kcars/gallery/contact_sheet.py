"""Contact sheet of a cluster: its photos, cropped as for the model, under a title."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from kcars.core.errors import KcarsError
from kcars.core.files import written_whole
from kcars.core.plain_text import printable
from kcars.gallery.photos import Kept, content_of
from kcars.images.decode import cut, full_size

COLUMNS, MOST, TILE_PX, TITLE_PX, GREY = 6, 48, (180, 120), 26, (200, 200, 200)


def write_sheet(file: Path, title: str, photos: Sequence[Kept], padding: float) -> None:
    """Write a JPEG of the first MOST photos, cropped to their boxes with the model's padding; missing or changed ones are grey."""
    shown = photos[:MOST]
    lines = -(-len(shown) // COLUMNS)
    sheet = Image.new("RGB", (min(len(shown), COLUMNS) * TILE_PX[0], TITLE_PX + lines * TILE_PX[1]), "white")
    heading = title if len(shown) == len(photos) else f"{title}, {len(shown)} of them shown"
    ImageDraw.Draw(sheet).text((4, 3), printable(heading), "black", ImageFont.load_default(16))
    for place, photo in enumerate(shown):
        line, column = divmod(place, COLUMNS)
        sheet.paste(_tile(photo, padding), (column * TILE_PX[0], TITLE_PX + line * TILE_PX[1]))
    with written_whole(file, "wb") as out:
        sheet.save(out, "JPEG", quality=85)


def _tile(photo: Kept, padding: float) -> Image.Image:
    """Return the tile of a photo, with white margins to keep its aspect ratio."""
    try:
        seen = cut(full_size(content_of(photo)), photo.box, padding)
    except (KcarsError, ValueError):
        return Image.new("RGB", TILE_PX, GREY)
    return ImageOps.pad(Image.fromarray(seen), TILE_PX, color="white")
