"""Maps of heat (h, w) over photos: colours, pictures, and in words where most of it is. What is not above 0 has none."""

import io

import cv2
import numpy as np
from PIL import Image

# From matplotlib's "plasma", which every kind of colour vision orders by its lightness; over grey photos nothing else is coloured.
COLOURS = np.array([(84, 2, 163), (185, 50, 137), (244, 136, 73), (249, 220, 36)], np.float32)
MOST_OPAQUE = 0.7  # Of the hottest place: the photo is seen through it.
SMOOTHED = 0.3  # Of a place's side, standard deviation: lines between places would look like edges in the photo.
GREY = (0.299, 0.587, 0.114)  # Of red, green and blue, as JPEG weighs them.
THUMBNAIL_PX = 28  # Browsers smooth it over the photo.
ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


def relative(heat: np.ndarray) -> np.ndarray:
    """Heat as a share of its largest, float32; all 0 where nothing is above 0."""
    heat = np.asarray(heat, np.float32)
    largest = float(heat.max(initial=0.0))
    return heat / largest if largest > 0 else np.zeros_like(heat)


def resized(heat: np.ndarray, height: int, width: int) -> np.ndarray:
    """A map as (height, width) float32, smooth from the middle of one place to the next."""
    heat = np.asarray(heat, np.float32)
    spread = cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR)
    down, across = SMOOTHED * height / heat.shape[0], SMOOTHED * width / heat.shape[1]
    return cv2.GaussianBlur(spread, (0, 0), across, sigmaY=down, borderType=cv2.BORDER_REPLICATE)


def coloured(heat: np.ndarray) -> np.ndarray:
    """(h, w, 4) uint8 RGBA of shares 0..1: without heat one sees through."""
    heat = np.clip(heat, 0.0, 1.0)
    steps = np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(heat, steps, channel) for channel in COLOURS.T]
    return np.stack([*channels, 255 * MOST_OPAQUE * heat], -1).round().astype(np.uint8)


def overlaid(photo: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A photo (h, w, 3) uint8 in grey, with a map of any size over it, whose largest heat is the hottest colour."""
    grey = photo @ np.array(GREY, np.float32)
    colours = coloured(relative(resized(heat, *photo.shape[:2]))).astype(np.float32)
    share = colours[..., 3:] / 255
    return (grey[..., None] * (1 - share) + colours[..., :3] * share).round().astype(np.uint8)


def heat_png(heat: np.ndarray) -> bytes:
    """A map as a small square PNG file to lay over a thumbnail."""
    picture = Image.fromarray(coloured(relative(resized(heat, THUMBNAIL_PX, THUMBNAIL_PX))), "RGBA")
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return content.getvalue()


def strongest(heat: np.ndarray) -> str:
    """Where most heat is, such as "upper left"; "" where there is none."""
    if not heat.max(initial=0.0) > 0:
        return ""
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    down, across = ROWS[int(3 * (row + 0.5) / heat.shape[0])], COLUMNS[int(3 * (column + 0.5) / heat.shape[1])]
    return "centre" if (down, across) == ("middle", "centre") else f"{down} {across}"


def as_text(heat: np.ndarray) -> str:
    """A map's shares of its largest heat as text: numbers with spaces between, rows with semicolons."""
    return ";".join(" ".join(f"{share:.2f}" for share in row) for row in relative(heat))


def from_text(text: str) -> np.ndarray:
    """What `as_text` has written, (h, w) float32; raises ValueError for other text."""
    return np.array([[float(share) for share in row.split(" ")] for row in text.split(";")], np.float32)
