"""Area under the ROC curve, the main score of verification, which needs no threshold."""

import numpy as np

from kcars.metrics.catalogue import SCORES, Score
from kcars.metrics.scored import ScoredPairs, ratio


def area(pairs: ScoredPairs) -> np.ndarray:
    """ROC-AUC from accepted weights, divided once at the end, so that integer weights are exact. nan if one kind is absent."""
    different, alike, _ = pairs.accepted
    steps = np.diff(different, axis=-1)
    doubled = np.einsum("...t,...t->...", steps, alike[..., 1:] + alike[..., :-1])
    return ratio(doubled, 2 * different[..., -1] * alike[..., -1])


SCORES.register(
    Score(
        "roc_auc",
        "probability that a same pair is nearer than a different one: 0.5 by chance, 1 at best; needs no threshold",
        head="ROC-AUC",
        pairs=area,
        column=0,
        required=True,
    )
)
