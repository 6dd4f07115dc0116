"""The distance transform and the decision of a verifier with a frozen backbone, by cross-fitting over folds of models.

A frozen backbone has learned none of the training models, so each model is validated by a transform that was fitted to the
others, and no model has to be held out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcars.metrics import calibration
from kcars.metrics.scores import roc_auc
from kcars.models.outputs import Outputs
from kcars.posthoc.decision import PairDecision
from kcars.posthoc.distance_transform import SHRINKAGE, DistanceTransform
from kcars.settings import DIFFICULTIES, EvaluateSettings
from kcars.tasks.plan import Plan
from kcars.tasks.verify_scores import distances, positions

SHRINKAGES = (0.25, 0.5, 0.75)
"""Shrinkages of the transform's covariances among which validation chooses if `evaluate.shrinkage` is "chosen"."""


@dataclass(frozen=True)
class CrossFit:
    """The validation pairs of all folds, each measured by a transform that was fitted to its fold's training photos.

    shrinkage: the one with the best ROC-AUC of the monitored pairs; roc_auc: by difficulty, averaged over the folds that have
    same and different pairs; same, distance: the monitored pairs (n,).
    """

    shrinkage: float
    roc_auc: dict[str, float]
    same: np.ndarray
    distance: np.ndarray

    @classmethod
    def of(cls, folds: Sequence[Plan], outputs: Outputs) -> "CrossFit":
        """Cross-fit with the outputs of a network that has learned none of the models."""
        strategy, asked = folds[0].strategy, shrinkages(folds[0].strategy.evaluate)
        rows = np.unique(np.concatenate([part for one in folds for part in (one.train, one.validation)]))
        vectors = outputs(rows)

        def seen_by_fold(fold: Plan) -> list[np.ndarray]:
            transforms = fitted_transforms(fold, lambda of: vectors[np.searchsorted(rows, of)], asked)
            return [vectors if one is None else one(vectors) for one in transforms]

        by_shrinkage = zip(*map(seen_by_fold, folds), strict=True)
        measured = [_measured(folds, rows, seen, one) for one, seen in zip(asked, by_shrinkage, strict=True)]
        return max(measured, key=lambda one: one.roc_auc[strategy.monitored_difficulty])

    def decision(self) -> dict[str, Any]:
        """The decision fitted to the pairs, as in scores.json."""
        decision = PairDecision.fit(self.same, self.distance)
        right = decision.same(self.distance) == (self.same > 0)
        return {
            **decision.record(),
            "answered": calibration.risk_coverage(decision.confidence(self.distance), right, 1),
        }


def shrinkages(evaluate: EvaluateSettings) -> tuple[float, ...]:
    """The shrinkages to choose among, for the settings of evaluation."""
    if evaluate.distance == "euclidean":
        return (SHRINKAGE,)  # Not used.
    return SHRINKAGES if isinstance(evaluate.shrinkage, str) else (evaluate.shrinkage,)


def _measured(folds: Sequence[Plan], rows: np.ndarray, seen: Sequence[np.ndarray], shrinkage: float) -> CrossFit:
    """Measure the validation pairs of each fold on its vectors (n, k) of the rows (n,), given in `seen`."""
    areas: dict[str, list[float]] = {name: [] for name in DIFFICULTIES}
    same: list[np.ndarray] = []
    distance: list[np.ndarray] = []
    for fold, vectors in zip(folds, seen, strict=True):
        for difficulty, found in areas.items():
            pairs = fold.pairs[f"validation/{difficulty}"]
            apart = distances(vectors, *positions(rows, pairs))
            if len(np.unique(pairs.same)) == 2:
                found.append(float(roc_auc(pairs.same, -apart)))
            if difficulty == fold.strategy.monitored_difficulty:
                same.append(pairs.same)
                distance.append(apart)
    mean = {name: float(np.mean(found)) if found else float("nan") for name, found in areas.items()}
    return CrossFit(shrinkage, mean, np.concatenate(same), np.concatenate(distance))


def fitted_transforms(plan: Plan, outputs: Outputs, asked: Sequence[float]) -> Sequence[DistanceTransform | None]:
    """The strategy's distance transform, fitted to the training photos with each shrinkage; None for the Euclidean distance."""
    evaluate = plan.strategy.evaluate
    if evaluate.distance == "euclidean":
        return [None for _ in asked]
    photos = outputs(plan.train), plan.labels(plan.train)
    return DistanceTransform.fit_each(evaluate.distance, *photos, asked, evaluate.directions)
