"""Recall@k and mAP@R of photos that ask for the others of their class among all others."""

from functools import partial

import numpy as np

from kcars.metrics.catalogue import SCORES, Score


def recall_at(hits: np.ndarray, others: np.ndarray, most: int) -> np.ndarray:
    """1.0 where one of the nearest `most` has the label."""
    return hits[:, :most].any(1).astype(float)


def mean_precision_at_r(hits: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of the R nearest, where R others have the label, the mean over all R places of the precision down to each right one
    (Musgrave et al. 2020, arXiv 2003.08505): 1 where those others are nearer than all else."""
    places = np.arange(1, hits.shape[1] + 1)
    precision = hits.cumsum(1) / places * (hits & (places <= others[:, None]))
    return precision.sum(1) / others


SCORES.register(
    Score(
        "recall@1",
        "share of test photos whose nearest other test photo is of their class",
        search=partial(recall_at, most=1),
    )
)
SCORES.register(
    Score(
        "recall@5",
        "share of test photos with one of their class among the five nearest others",
        search=partial(recall_at, most=5),
    )
)
SCORES.register(
    Score(
        "map@R",
        "mean average precision at R: of as many nearest others as there are of a photo's class, the mean over the places "
        "of the precision down to each right one; 1 where those of the class are nearest",
        head="mAP@R",
        search=mean_precision_at_r,
    )
)
