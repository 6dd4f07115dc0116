"""Scores of calibration, which the tasks compute with the tables of their curves (`calibration`)."""

from kcars.metrics.catalogue import SCORES, Score

LOSS = "negative log likelihood of the labels; 0 at best"
ERROR = (
    "calibration error: mean absolute difference between the probability of a prediction and the accuracy; 0 at best"
)

for name, explained in (
    ("nll", LOSS),
    ("nll_change", f"change by temperature scaling of the {LOSS}"),
    ("calibration_error", ERROR),
    ("calibration_error_change", f"change by temperature scaling of the {ERROR}"),
):
    SCORES.register(Score(name, explained, in_tables=False, higher_is_better=False, probabilities=True))
