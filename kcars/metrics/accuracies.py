"""Accuracy and balanced accuracy, the main score of classification, of photos and pairs."""

import numpy as np

from kcars.metrics.catalogue import SCORES, Score
from kcars.metrics.scored import ScoredPhotos, ratio


def accuracy(photos: ScoredPhotos) -> np.ndarray:
    """Share of photos classified correctly; nan without photos."""
    return ratio(photos.hits.sum(-1), photos.photos.sum())


def balanced_accuracy(photos: ScoredPhotos) -> np.ndarray:
    """Mean recall over the classes that have photos, without classes that are only predicted; nan without photos."""
    return ratio(np.nansum(photos.recall, -1), np.isfinite(photos.recall).sum(-1))


SCORES.register(
    Score(
        "accuracy",
        "share of photos or pairs predicted correctly; dominated by large classes",
        photos=accuracy,
        pairs=lambda pairs: pairs.decided["accuracy"],
        column=2,
        required=True,
    )
)
SCORES.register(
    Score(
        "balanced_accuracy",
        "mean recall over the classes (for pairs: over same and different)",
        head="balanced acc.",
        photos=balanced_accuracy,
        pairs=lambda pairs: pairs.decided["balanced_accuracy"],
        column=1,
        required=True,
    )
)
