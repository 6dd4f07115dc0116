"""F1, precision and recall of same pairs at a threshold."""

from kcars.metrics.catalogue import SCORES, Score

SCORES.register(
    Score(
        "f1",
        "harmonic mean of precision and recall",
        head="F1",
        pairs=lambda pairs: pairs.decided["f1"],
        column=3,
        required=True,
    )
)
SCORES.register(
    Score(
        "precision",
        "share of same pairs among the pairs predicted same",
        pairs=lambda pairs: pairs.decided["precision"],
        column=3,
        required=True,
    )
)
SCORES.register(
    Score(
        "recall",
        "share of the same pairs that are predicted same",
        pairs=lambda pairs: pairs.decided["recall"],
        column=3,
        required=True,
    )
)
