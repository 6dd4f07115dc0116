"""Points of the ROC curve: equal error rate, and true-accept rate at a bounded false-accept rate."""

import numpy as np

from kcars.metrics.catalogue import SCORES, Score
from kcars.metrics.scored import ScoredPairs, ratio


def equal_error(pairs: ScoredPairs) -> np.ndarray:
    """False-accept rate where it equals 1 - true-accept rate, by linear interpolation between the points of the curve."""
    false_accept, true_accept = pairs.rates
    gap = 1 - true_accept - false_accept  # falls from 1 to -1
    after = np.maximum(np.argmax(gap <= 0, axis=-1), 1 if gap.shape[-1] > 1 else 0)[..., None]
    before = np.maximum(after - 1, 0)
    gap_before, gap_after = (np.take_along_axis(gap, at, axis=-1)[..., 0] for at in (before, after))
    low, high = (np.take_along_axis(false_accept, at, axis=-1)[..., 0] for at in (before, after))
    return low + (high - low) * ratio(gap_before, gap_before - gap_after)


SCORES.register(
    Score(
        "eer",
        "equal error rate: the error rate at the threshold where false accepts and false rejects are equally frequent; 0 at best",
        head="EER",
        pairs=equal_error,
        column=3,
        higher_is_better=False,
        required=True,
    )
)
SCORES.register(
    Score(
        "tar_at_far_1e-2",
        "share of same pairs accepted at the threshold that accepts 1 % of different pairs",
        head="TAR@1%",
        pairs=lambda pairs: pairs.accepted_within(1e-2),
        column=3,
        required=True,
    )
)
SCORES.register(
    Score(
        "tar_at_far_1e-3",
        "share of same pairs accepted at the threshold that accepts 0.1 % of different pairs",
        head="TAR@0.1%",
        pairs=lambda pairs: pairs.accepted_within(1e-3),
        column=3,
        required=True,
    )
)
