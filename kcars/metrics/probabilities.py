"""How far probabilities hold: scores that a task computes itself, with the tables of their curves (`calibration`)."""

from kcars.metrics.catalogue import SCORES, Score

LOSS = "negative log likelihood of the labels by the probabilities given; 0 at best"
ERROR = "mean distance between the probability of an answer and the share of right ones; 0 at best"

for name, explained in (
    ("nll", LOSS),
    ("nll_change", f"what dividing logits by a fitted temperature changes of it: {LOSS}"),
    ("calibration_error", ERROR),
    ("calibration_error_change", f"what dividing logits by a fitted temperature changes of it: {ERROR}"),
):
    SCORES.register(Score(name, explained, in_tables=False, higher_is_better=False, probabilities=True))
