"""Accuracy, and balanced accuracy, which leads classification: of photos and of pairs."""

import numpy as np

from kcars.metrics.catalogue import SCORES, Score
from kcars.metrics.scored import ScoredPhotos, ratio


def accuracy(photos: ScoredPhotos) -> np.ndarray:
    """Share of photos that are named rightly; nan without photos."""
    return ratio(photos.hits.sum(-1), photos.photos.sum())


def balanced_accuracy(photos: ScoredPhotos) -> np.ndarray:
    """Mean recall of the classes that have photos, not of those only predicted; nan without photos."""
    return ratio(np.nansum(photos.recall, -1), np.isfinite(photos.recall).sum(-1))


SCORES.register(
    Score(
        "accuracy",
        "share of photos, or pairs, that are decided rightly; large classes weigh most",
        photos=accuracy,
        pairs=lambda pairs: pairs.decided["accuracy"],
        column=2,
        required=True,
    )
)
SCORES.register(
    Score(
        "balanced_accuracy",
        "mean over the classes (for pairs: over same and different) of the share that is decided rightly",
        head="balanced acc.",
        photos=balanced_accuracy,
        pairs=lambda pairs: pairs.decided["balanced_accuracy"],
        column=1,
        required=True,
    )
)
