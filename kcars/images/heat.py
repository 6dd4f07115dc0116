"""Renders heat maps (h, w) over photos and describes where the heat is; values of 0 and below have no heat."""

import io

import cv2
import numpy as np
from PIL import Image

# From matplotlib's "plasma", which is ordered by lightness for every kind of colour vision.
COLOURS = np.array([(84, 2, 163), (185, 50, 137), (244, 136, 73), (249, 220, 36)], np.float32)
MOST_OPAQUE = 0.7  # Opacity of the largest heat, through which the photo remains visible.
SMOOTHED = 0.3  # Standard deviation as a share of a cell's side: borders of cells would look like edges in the photo.
GREY = (0.299, 0.587, 0.114)  # Weights of red, green and blue, as in JPEG.
THUMBNAIL_PX = 28  # Browsers scale it up smoothly.
ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


def relative(heat: np.ndarray) -> np.ndarray:
    """Heat as a share of its maximum, float32; all 0 if nothing is above 0."""
    heat = np.asarray(heat, np.float32)
    largest = float(heat.max(initial=0.0))
    return heat / largest if largest > 0 else np.zeros_like(heat)


def resized(heat: np.ndarray, height: int, width: int) -> np.ndarray:
    """A map resized to (height, width) float32, interpolated between the centres of its cells."""
    heat = np.asarray(heat, np.float32)
    spread = cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR)
    down, across = SMOOTHED * height / heat.shape[0], SMOOTHED * width / heat.shape[1]
    return cv2.GaussianBlur(spread, (0, 0), across, sigmaY=down, borderType=cv2.BORDER_REPLICATE)


def coloured(heat: np.ndarray) -> np.ndarray:
    """Colours (h, w, 4) uint8 RGBA of shares 0..1; transparent without heat."""
    heat = np.clip(heat, 0.0, 1.0)
    steps = np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(heat, steps, channel) for channel in COLOURS.T]
    return np.stack([*channels, 255 * MOST_OPAQUE * heat], -1).round().astype(np.uint8)


def overlaid(photo: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A photo (h, w, 3) uint8 in grey, overlaid with a map of any size, scaled to its maximum."""
    grey = photo @ np.array(GREY, np.float32)
    colours = coloured(relative(resized(heat, *photo.shape[:2]))).astype(np.float32)
    share = colours[..., 3:] / 255
    return (grey[..., None] * (1 - share) + colours[..., :3] * share).round().astype(np.uint8)


def heat_png(heat: np.ndarray) -> bytes:
    """A map as a small square PNG file to overlay a thumbnail."""
    picture = Image.fromarray(coloured(relative(resized(heat, THUMBNAIL_PX, THUMBNAIL_PX))), "RGBA")
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return content.getvalue()


def strongest(heat: np.ndarray) -> str:
    """The region with the most heat, such as "upper left"; "" if there is none."""
    if not heat.max(initial=0.0) > 0:
        return ""
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    down, across = ROWS[int(3 * (row + 0.5) / heat.shape[0])], COLUMNS[int(3 * (column + 0.5) / heat.shape[1])]
    return "centre" if (down, across) == ("middle", "centre") else f"{down} {across}"


def as_text(heat: np.ndarray) -> str:
    """A map's shares of its maximum as text: numbers separated by spaces, rows by semicolons."""
    return ";".join(" ".join(f"{share:.2f}" for share in row) for row in relative(heat))


def from_text(text: str) -> np.ndarray:
    """The map (h, w) float32 in a text from `as_text`; raises ValueError for other text."""
    return np.array([[float(share) for share in row.split(" ")] for row in text.split(";")], np.float32)
