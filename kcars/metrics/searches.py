"""Recall@k and mAP@R of photos as queries for the others of their class."""

from functools import partial

import numpy as np

from kcars.metrics.catalogue import SCORES, Score


def recall_at(hits: np.ndarray, others: np.ndarray, most: int) -> np.ndarray:
    """1.0 if one of the nearest `most` has the label, else 0.0."""
    return hits[:, :most].any(1).astype(float)


def mean_precision_at_r(hits: np.ndarray, others: np.ndarray) -> np.ndarray:
    """mAP@R (Musgrave et al. 2020, arXiv 2003.08505): mean over R ranks of the precision at each correct one, 0 at others.

    R is the number of others with the label. 1 if those are nearer than all else.
    """
    positions = np.arange(1, int(hits.shape[1]) + 1)
    precision = hits.cumsum(1) / positions * (hits & (positions <= others[:, None]))
    return precision.sum(1) / others


SCORES.register(
    Score(
        "recall@1",
        "share of test photos whose nearest other test photo has their class",
        search=partial(recall_at, most=1),
    )
)
SCORES.register(
    Score(
        "recall@5",
        "share of test photos with a photo of their class among the five nearest others",
        search=partial(recall_at, most=5),
    )
)
SCORES.register(
    Score(
        "map@R",
        "mean average precision at R, the number of other photos of the class: the mean over the R nearest of the precision "
        "at each correct one; 1 at best",
        head="mAP@R",
        search=mean_precision_at_r,
    )
)
