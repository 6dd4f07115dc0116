"""The inputs of scores: photos counted by class, and pairs accepted at decreasing thresholds, for any weights."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from kcars.core.errors import KcarsError


@dataclass(frozen=True)
class ScoredPhotos:
    """Classified photos, counted by class, of one test or many resamples.

    photos (classes,): photos of each class; hits (..., classes): those classified correctly; predictions (..., classes):
    photos classified as each class; in_top5 (...): photos whose class is among the five highest scores.
    """

    photos: np.ndarray
    hits: np.ndarray
    predictions: np.ndarray
    in_top5: np.ndarray | float = np.nan

    @classmethod
    def of_confusion(cls, confusion: npt.ArrayLike, in_top5: float = np.nan) -> "ScoredPhotos":
        """From a confusion matrix (classes, classes): row = label, column = predicted class."""
        confusion = np.asarray(confusion)
        return cls(confusion.sum(axis=1), np.diagonal(confusion), confusion.sum(axis=0), in_top5)

    @cached_property
    def recall(self) -> np.ndarray:
        """Recall (..., classes) of each class; nan for a class without photos."""
        return ratio(self.hits, self.photos)


class ScoredPairs:
    """Pairs with similarity scores, of one test or many resamples.

    same (n,) bool; scores (n,) float64, larger = more similar; threshold: pairs with score >= threshold are predicted same;
    weights (..., n) float64.
    """

    def __init__(
        self,
        same: npt.ArrayLike,
        scores: npt.ArrayLike,
        threshold: float = np.nan,
        weights: npt.ArrayLike | None = None,
    ):
        """Raises KcarsError for arrays of inconsistent shapes."""
        self.same, self.scores, self.weights = _checked_pairs(same, scores, weights)
        self.threshold = threshold

    @cached_property
    def accepted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weight of accepted different and same pairs, each (..., t + 1), at the decreasing thresholds (t + 1,).

        A pair is accepted when score >= threshold. Equal scores share one point; the first point, at infinity, accepts nothing.
        """
        order = np.argsort(-self.scores, kind="stable")
        ordered = self.scores[order]
        last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(ordered) else order
        weights, alike = self.weights[..., order], self.same[order]
        different, same = (_running_totals(weights * kind, last) for kind in (~alike, alike))
        return different, same, np.append(np.inf, ordered[last])

    @cached_property
    def rates(self) -> tuple[np.ndarray, np.ndarray]:
        """False-accept and true-accept rates, each (..., t + 1); nan for an absent kind."""
        different, alike, _ = self.accepted
        return ratio(different, different[..., -1:]), ratio(alike, alike[..., -1:])

    def accepted_within(self, far: float) -> np.ndarray:
        """True-accept rate at the last point whose false-accept rate is at most `far`; nan rates stay nan."""
        false_accept, true_accept = self.rates
        at = np.maximum((false_accept <= far).sum(axis=-1) - 1, 0)[..., None]
        found = np.take_along_axis(true_accept, at, axis=-1)[..., 0]
        return np.where(np.isnan(false_accept[..., 0]), np.nan, found)

    @cached_property
    def decided(self) -> dict[str, np.ndarray]:
        """accuracy, balanced_accuracy, f1, precision and recall at the threshold, each (...).

        Precision and F1 are 0 if nothing is accepted. If one kind is absent, all but accuracy are nan; without pairs, or if
        the threshold is nan (undefined), all are.
        """
        called = self.scores >= self.threshold
        columns = np.stack([self.same, ~self.same, self.same & called, ~self.same & called], axis=1)
        alike, different, hits, false_accepts = np.moveaxis(self.weights @ columns.astype(np.float64), -1, 0)
        recall = ratio(hits, alike)
        values = {
            "accuracy": ratio(hits + different - false_accepts, alike + different),
            "balanced_accuracy": (recall + 1 - ratio(false_accepts, different)) / 2,
            "f1": ratio(2 * hits, hits + false_accepts + alike),
            "precision": ratio(hits, hits + false_accepts, empty=0.0),
            "recall": recall,
        }
        one_kind = (alike == 0) | (different == 0)
        hidden = {key: np.isnan(self.threshold) | (one_kind & (key != "accuracy")) for key in values}
        return {key: np.where(hidden[key], np.nan, value) for key, value in values.items()}


def ratio(part: npt.ArrayLike, whole: npt.ArrayLike, empty: float = np.nan) -> np.ndarray:
    """part / whole as float64, broadcast; `empty` where whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.divide(part, whole, out=np.full(part.shape, empty), where=whole != 0)


def finite(name: str, values: npt.ArrayLike) -> np.ndarray:
    """`values` as an array; raises KcarsError for nan or infinity, which would be ranked wrongly."""
    values = np.asarray(values)
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        raise KcarsError(f"{name}: {bad} of {values.size} are nan or infinite; training may have diverged.")
    return values


def _running_totals(weights: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Sums of weights (..., n) up to each position in `last`, with a leading 0: (..., t + 1)."""
    totals = np.zeros((*weights.shape[:-1], len(last) + 1))
    if len(last) == weights.shape[-1]:  # All scores are distinct.
        np.cumsum(weights, axis=-1, out=totals[..., 1:])
    else:  # Equal scores are accepted together, so only the total at the last of them is a point.
        totals[..., 1:] = np.cumsum(weights, axis=-1)[..., last]
    return totals


def _checked_pairs(
    same: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns same (n,) bool, scores (n,) float64 and weights (..., n) float64 after checking them."""
    same, scores = np.asarray(same), finite("scores", scores).astype(np.float64)
    if same.ndim != 1 or same.shape != scores.shape:
        raise KcarsError(f"scores: shape {scores.shape}, same: shape {same.shape}; expected one of each per pair.")
    if not np.isin(same, (0, 1)).all():
        raise KcarsError(f"same: values {np.unique(same)[:5]}; allowed are 1 (same) and 0 (different).")
    weights = np.ones(len(same)) if weights is None else np.asarray(weights, np.float64)
    if weights.shape[-1:] != same.shape:
        raise KcarsError(f"weights: shape {weights.shape} for {len(same)} pairs; expected pairs as the last axis.")
    return same.astype(bool), scores, weights
