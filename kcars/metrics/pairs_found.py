"""F1, precision and recall of the pairs that a threshold calls the same."""

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
        "share of the pairs decided same that are same",
        pairs=lambda pairs: pairs.decided["precision"],
        column=3,
        required=True,
    )
)
SCORES.register(
    Score(
        "recall",
        "share of the same pairs that are decided same",
        pairs=lambda pairs: pairs.decided["recall"],
        column=3,
        required=True,
    )
)
