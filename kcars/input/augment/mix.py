"""MixUp and CutMix: blends photos of a batch or pastes parts of them into each other; labels become class shares."""

from dataclasses import dataclass

import cv2
import numpy as np

from kcars.core.rng import generator


@dataclass(frozen=True)
class Mix:
    """Mixes each photo of a batch with another one; random numbers depend only on the seed and the step.

    kind: mixup, cutmix, or both, of which one is drawn per batch; alpha: the second photo's share is drawn from
    Beta(alpha, alpha) for each photo; classes: target -> number of classes.
    """

    kind: str
    alpha: float
    classes: dict[str, int]
    seed: int

    def __call__(self, photos: np.ndarray, labels: dict[str, np.ndarray], step: int) -> tuple[np.ndarray, dict]:
        """The photos (n, h, w, 3) uint8, changed in place, and target -> rows (n, classes) float32 that sum to 1."""
        draw, count = generator(self.seed, "mix", step), len(photos)
        kind = ("mixup", "cutmix")[draw.integers(2)] if self.kind == "both" else self.kind
        ring = draw.permutation(count)
        other = np.empty(count, np.int64)
        other[ring] = np.roll(ring, 1)  # The next in a ring, so that no photo is mixed with itself.
        share = KINDS[kind](photos, photos[other], draw.beta(self.alpha, self.alpha, count), draw)
        return photos, {
            target: soft_rows(numbers, numbers[other], share, self.classes[target])
            for target, numbers in labels.items()
        }


def soft_rows(labels: np.ndarray, others: np.ndarray, share: np.ndarray, classes: int) -> np.ndarray:
    """Rows (n, classes) float32 with `share` (n,) at the classes of `others` (n,) and 1 - `share` at those of `labels` (n,)."""
    rows, number = np.zeros((len(labels), classes), np.float32), np.arange(len(labels))
    rows[number, labels] = 1 - share
    rows[number, others] += share.astype(np.float32)
    return rows


def mixup(photos: np.ndarray, others: np.ndarray, share: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Blends pixels, (1 - share) * photo + share * other: Zhang et al. 2017, arXiv 1710.09412."""
    for photo, other, part in zip(photos, others, share, strict=True):
        cv2.addWeighted(photo, 1 - part, other, part, 0, dst=photo)
    return share


def cutmix(photos: np.ndarray, others: np.ndarray, share: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Pastes a rectangle of the other photo, with about `share` of the area: Yun et al. 2019, arXiv 1905.04899.

    It has the photo's aspect ratio and any position, and is clipped to the photo. Returns its final shares (n,) of the pixels.
    """
    sides = np.array(photos.shape[1:3])
    half = sides / 2 * np.sqrt(share)[:, None]
    centre = draw.random((len(photos), 2)) * sides
    first, end = ((centre + by).round().clip(0, sides).astype(int) for by in (-half, half))
    for photo, other, (top, left), (bottom, right) in zip(photos, others, first, end, strict=True):
        photo[top:bottom, left:right] = other[top:bottom, left:right]
    return (end - first).prod(1) / sides.prod()


KINDS = {"mixup": mixup, "cutmix": cutmix}
