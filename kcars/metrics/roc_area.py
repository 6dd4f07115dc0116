"""Area under the ROC curve, which needs no threshold: it leads verification."""

import numpy as np

from kcars.metrics.catalogue import SCORES, Score
from kcars.metrics.scored import ScoredPairs, ratio


def area(pairs: ScoredPairs) -> np.ndarray:
    """From accepted weights; divided once, so that whole weights lose nothing before. nan where one kind is absent."""
    different, alike, _ = pairs.accepted
    steps = np.diff(different, axis=-1)
    doubled = np.einsum("...t,...t->...", steps, alike[..., 1:] + alike[..., :-1])
    return ratio(doubled, 2 * different[..., -1] * alike[..., -1])


SCORES.register(
    Score(
        "roc_auc",
        "chance that a same pair is nearer than a different one: 0.5 by guessing, 1 at best; it needs no threshold",
        head="ROC-AUC",
        pairs=area,
        column=0,
        required=True,
    )
)
