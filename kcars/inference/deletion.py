"""Deletion curves (Petsiuk et al. 2018, arXiv 1806.07421): how soon an answer is lost as the places a map points at are taken away.

The area under such a curve is small where a map is faithful. It counts beside rivals: random maps that are as coarse,
because scattered pixels would spoil any photo, and the middle of the photo, where cars stand anyway.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from kcars.images.heat import resized

STEPS = 16
CENTRE_SPREAD = 0.25  # Standard deviation of the middle, as a share of the photo's side.


def deletion_areas(
    photo: np.ndarray,
    heats: Mapping[str, np.ndarray],
    ties: np.ndarray,
    replaced: np.ndarray,
    scores: Callable,
    steps: int = STEPS,
) -> dict[str, float]:
    """By map, the area under the score by the share of pixels taken away from a photo (s, s, 3) uint8, the hottest first.

    heats: maps (h, w) by name; ties: one that orders places of equal heat. replaced: (s, s, 3), what stands in their
    place. scores: (n, s, s, 3) uint8 to (n,), asked once. A curve goes from the whole photo to nothing of it.
    """
    photos = [without_hottest(photo, heat, ties, replaced, steps) for heat in heats.values()]
    found = scores(np.concatenate(photos)).reshape(len(heats), steps + 1)
    return dict(zip(heats, np.trapezoid(found, dx=1 / steps).tolist(), strict=True))


def without_hottest(
    photo: np.ndarray, heat: np.ndarray, ties: np.ndarray, replaced: np.ndarray, steps: int = STEPS
) -> np.ndarray:
    """(steps + 1, s, s, 3) uint8: the photo with 0, 1 / steps, 2 / steps, ... of its pixels replaced, the hottest first."""
    size_px = len(photo)
    order = np.lexsort([-resized(each, size_px, size_px).ravel() for each in (ties, heat)])
    rank = np.empty(size_px**2, np.int64)
    rank[order] = np.arange(size_px**2)
    gone = rank.reshape(size_px, size_px) < (np.arange(steps + 1) * size_px**2 // steps)[:, None, None]
    return np.where(gone[..., None], replaced, photo)


def mean_colour(photo: np.ndarray) -> np.ndarray:
    """The photo's mean in every place."""
    return np.broadcast_to(photo.mean((0, 1)).round().astype(np.uint8), photo.shape)


def blurred(photo: np.ndarray) -> np.ndarray:
    """The photo without what is smaller than about a quarter of it."""
    return cv2.GaussianBlur(photo, (0, 0), len(photo) / 8, borderType=cv2.BORDER_REPLICATE)


REPLACED = {"mean": mean_colour, "blur": blurred}


def centre(height: int, width: int) -> np.ndarray:
    """The map (height, width) of whoever looks at the middle always."""
    rows, columns = ((np.arange(count) + 0.5) / count - 0.5 for count in (height, width))
    return np.exp(-(rows[:, None] ** 2 + columns**2) / (2 * CENTRE_SPREAD**2)).astype(np.float32)
