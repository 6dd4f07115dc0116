"""The definition of a box for training and prediction: the part of a photo that it selects, and invalid boxes.

A box is left, top, right, bottom in pixels of the upright photo, counted from 0, with right and bottom exclusive. None is the
whole photo. A box is first clipped to the photo; an empty result is refused, and so is a fractional box that ends within the
first pixel, because it is in shares of the photo, not in pixels. `export/jpeg_graph.py` does the same in TensorFlow, where
(-1, -1, -1, -1) is the whole photo, and `export/client_pixels.py` for other runtimes.
"""

import math
from collections.abc import Sequence

import numpy as np

Box = Sequence[float]
SCALES = (
    1,
    2,
    4,
)  # 1/8 would save little more, and shift an edge between its pixels by a tenth of a pixel of the result.


def clipped(box: Box | None, height: int, width: int) -> tuple[float, float, float, float]:
    """The edges of a box clipped to a photo of height x width pixels, in float32; raises ValueError if it is refused."""
    if box is None:
        return 0.0, 0.0, float(width), float(height)
    left, top, right, bottom = edges = np.asarray(box, np.float32).tolist()
    if math.isfinite(sum(edges)):
        if _in_shares(edges):
            raise _no_pixels(box)
        left, right = max(0.0, left), min(float(width), right)
        top, bottom = max(0.0, top), min(float(height), bottom)
        if right > left and bottom > top:
            return left, top, right, bottom
    raise _nothing_inside(box, height, width)


def decoding_scale(box: Box | None, height: int, width: int, size_px: int) -> int:
    """The factor by which a photo may be decoded smaller, with the crop at least twice as large as its final size."""
    left, top, right, bottom = clipped(box, height, width)
    side = min(right - left, bottom - top)
    return max([scale for scale in SCALES if scale == 1 or side >= 2 * scale * size_px])


def part_of(
    height: int, width: int, box: Box | None, padding: float, decoded: tuple[int, int] | None = None, scale: int = 1
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a box, padded by `padding` of its sides and clipped to the photo: integers, at least one pixel.

    decoded: (height, width) of a photo decoded at 1 / scale. Raises ValueError as `clipped`.
    """
    rows, columns = decoded or (height, width)
    if box is None:
        return 0, 0, columns, rows
    left, top, right, bottom = (edge / scale for edge in clipped(box, height, width))
    wider, higher = (right - left) * padding, (bottom - top) * padding
    first_column = min(max(0, round(left - wider)), columns - 1)
    first_row = min(max(0, round(top - higher)), rows - 1)
    end_column = max(first_column + 1, min(columns, round(right + wider)))
    end_row = max(first_row + 1, min(rows, round(bottom + higher)))
    return first_column, first_row, end_column, end_row


def _in_shares(edges: Sequence[float]) -> bool:
    return max(edges[2:]) <= 1 and any(edge != round(edge) for edge in edges)


def _no_pixels(box: Box) -> ValueError:
    edges = ", ".join(f"{float(edge):g}" for edge in box)
    return ValueError(
        f"box {edges} ends within the first pixel, as shares of a photo do; give pixels: shares times its sides"
    )


def _nothing_inside(box: Box, height: int, width: int) -> ValueError:
    edges = ", ".join(f"{float(edge):g}" for edge in box)
    return ValueError(
        f"box {edges} holds no pixel of the photo, which is {width} x {height} pixels; give left, top, right, bottom in "
        "pixels of the upright photo"
    )
