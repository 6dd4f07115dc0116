"""Deletion curves (Petsiuk et al. 2018, arXiv 1806.07421): how fast a score falls as the regions of a heat map are removed.

A faithful map has a small area under the curve. Baselines are random maps of the same resolution (scattered pixels would
spoil any photo), and the centre of the photo, where cars usually are.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from kcars.images.heat import resized

STEPS = 16
CENTRE_SPREAD = 0.25  # Standard deviation of the centre map, relative to the photo's side.


def deletion_areas(
    photo: np.ndarray,
    heats: Mapping[str, np.ndarray],
    ties: np.ndarray,
    replaced: np.ndarray,
    scores: Callable,
    steps: int = STEPS,
) -> dict[str, float]:
    """Return for each map the area under the score against the share of pixels removed from a photo (s, s, 3) uint8, hottest first.

    heats: maps (h, w) by name; ties: a map that orders cells of equal heat. replaced: (s, s, 3), the replacement pixels.
    scores: (n, s, s, 3) uint8 to (n,), called once. A curve goes from the whole photo to no pixel of it.
    """
    photos = [without_hottest(photo, heat, ties, replaced, steps) for heat in heats.values()]
    found = scores(np.concatenate(photos)).reshape(len(heats), steps + 1)
    return dict(zip(heats, np.trapezoid(found, dx=1 / steps).tolist(), strict=True))


def without_hottest(
    photo: np.ndarray, heat: np.ndarray, ties: np.ndarray, replaced: np.ndarray, steps: int = STEPS
) -> np.ndarray:
    """Return (steps + 1, s, s, 3) uint8, the photo with 0, 1 / steps, 2 / steps, ... of its pixels replaced, hottest first."""
    size_px = len(photo)
    order = np.lexsort([-resized(each, size_px, size_px).ravel() for each in (ties, heat)])
    rank = np.empty(size_px**2, np.int64)
    rank[order] = np.arange(size_px**2)
    gone = rank.reshape(size_px, size_px) < (np.arange(steps + 1) * size_px**2 // steps)[:, None, None]
    return np.where(gone[..., None], replaced, photo)


def mean_colour(photo: np.ndarray) -> np.ndarray:
    """Return an image of the photo's mean colour."""
    return np.broadcast_to(photo.mean((0, 1)).round().astype(np.uint8), photo.shape)


def blurred(photo: np.ndarray) -> np.ndarray:
    """Return the photo blurred: details smaller than about a quarter of it are removed."""
    return cv2.GaussianBlur(photo, (0, 0), len(photo) / 8, borderType=cv2.BORDER_REPLICATE)


REPLACED = {"mean": mean_colour, "blur": blurred}


def centre(height: int, width: int) -> np.ndarray:
    """Return the centre map (height, width), a baseline."""
    rows, columns = ((np.arange(count) + 0.5) / count - 0.5 for count in (height, width))
    return np.exp(-(rows[:, None] ** 2 + columns**2) / (2 * CENTRE_SPREAD**2)).astype(np.float32)
