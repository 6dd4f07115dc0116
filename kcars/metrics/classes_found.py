"""Top-5 accuracy and macro F1 of classified photos."""

import numpy as np

from kcars.metrics.catalogue import SCORES, Score
from kcars.metrics.scored import ScoredPhotos, ratio


def top5(photos: ScoredPhotos) -> np.ndarray:
    """Share of photos whose class is among the five highest scores; nan without photos."""
    return ratio(photos.in_top5, photos.photos.sum())


def macro_f1(photos: ScoredPhotos) -> np.ndarray:
    """Mean F1, 2 hits / (photos + predictions), over the classes that have photos or predictions (0 if only one)."""
    f1 = ratio(2 * photos.hits, photos.photos + photos.predictions)
    return ratio(np.nansum(f1, -1), np.isfinite(f1).sum(-1))


SCORES.register(
    Score(
        "top5",
        "share of photos whose class is among the five most probable",
        head="top-5",
        photos=top5,
        column=3,
        required=True,
    )
)
SCORES.register(
    Score(
        "macro_f1",
        "mean over the classes of F1, the harmonic mean of precision and recall",
        head="macro F1",
        photos=macro_f1,
        column=3,
        required=True,
    )
)
