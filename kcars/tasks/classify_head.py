"""The head of a classifier with a frozen backbone: method, regularization and temperature by cross-fitting over folds."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kcars.data.splits import stratified_share
from kcars.metrics import calibration
from kcars.models.outputs import Outputs
from kcars.posthoc.linear_head import ChosenHead, LinearHead, Sample
from kcars.tasks.plan import Plan

SHRINKAGE, SHARE = 0.5, 0.2  # Of the covariances; of the photos that choose the temperature.


def fitted_head(plan: Plan, folds: Sequence[Plan], features: Outputs) -> tuple[LinearHead, dict[str, Any]]:
    """Return the head for all training photos, and the choice of the folds: how it was fitted, score and decision.

    features: PhotoTable rows -> features (n, d) before the head. Without folds, the plan's own validation photos choose.
    """
    rows = np.unique(np.concatenate([part for one in (plan, *folds) for part in (one.train, one.validation)]))
    found = features(rows)

    def sample(of: np.ndarray) -> Sample:
        known = of[plan.labels(of) >= 0]
        return found[np.searchsorted(rows, known)], plan.labels(known)

    parts = [(sample(one.train), sample(one.validation)) for one in folds or (plan,)]
    chosen = ChosenHead.of(parts, len(plan.classes))
    (head,) = LinearHead.fit_each(chosen.method, [chosen.regularization], sample(plan.train), len(plan.classes))
    choice = {"method": chosen.method, "regularization": chosen.regularization, "score": chosen.balanced_accuracy}
    return head, choice | fitted_temperature(chosen.logits, chosen.labels)


def calibrated_head(sample: Sample, classes: int, seed: int) -> LinearHead:
    """The discriminant head for a sample, with logits divided by the temperature of one held-out share of it."""
    features, labels = sample
    held = stratified_share(labels, SHARE, seed)
    (head,) = LinearHead.fit_each("discriminant", [SHRINKAGE], sample, classes)
    if not held.any():  # No class has enough photos.
        return head
    (tried,) = LinearHead.fit_each("discriminant", [SHRINKAGE], (features[~held], labels[~held]), classes)
    warmth = np.float32(calibration.fit_temperature(tried.logits(features[held]), labels[held]))
    return replace(head, kernel=head.kernel / warmth, bias=head.bias / warmth)


def fitted_temperature(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return the temperature for logits (n, classes) and labels (n,), and the error rate by confidence with it."""
    warmth = calibration.fit_temperature(logits, labels)
    probability = calibration.probabilities(logits, warmth)
    confidence, right = probability.max(1, initial=0.0), probability.argmax(1) == labels
    return {"temperature": warmth, "answered": calibration.risk_coverage(confidence, right, 1)}
