"""Scores of classification and verification in NumPy, with the recall of each class and the best threshold.

Undefined scores are nan (printed as "undefined"): without rows, or with pairs of one kind only.
Functions on pairs accept `weights` of shape (n,), or (replicates, n) to return (replicates,), with which
`kcars.metrics.bootstrap` scores many resamples of the same pairs at once.
"""

import numpy as np
import numpy.typing as npt

from kcars.core.errors import KcarsError
from kcars.metrics.catalogue import computed
from kcars.metrics.scored import ScoredPairs, ScoredPhotos, finite, ratio

Value = float | np.ndarray
"""A score: a float, or an array (replicates,) for resamples."""


def photo_keys() -> tuple[str, ...]:
    """Names of the scores of classification, in order."""
    return tuple(computed("photos"))


def pair_keys() -> tuple[str, ...]:
    """Names of the scores of pairs, in order."""
    return tuple(computed("pairs"))


# ---- classification ----


def confusion_matrix(labels: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> np.ndarray:
    """Counts (classes, classes) int64: row = label, column = predicted class; all 0 for no photos."""
    labels = _class_numbers("labels", labels, classes)
    predicted = _class_numbers("predicted", predicted, classes)
    if labels.shape != predicted.shape:
        raise KcarsError(f"predicted: {predicted.size} numbers for {labels.size} labels; expected one per label.")
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def accuracy(confusion: npt.ArrayLike) -> float:
    """Share of photos on the diagonal; nan without photos."""
    return _of_photos("accuracy", confusion)


def class_recall(confusion: npt.ArrayLike) -> np.ndarray:
    """Recall (classes,) of each class; nan for a class without photos."""
    return ScoredPhotos.of_confusion(confusion).recall


def balanced_accuracy(confusion: npt.ArrayLike) -> float:
    """Mean recall over the classes that have photos, without classes that are only predicted; nan without photos."""
    return _of_photos("balanced_accuracy", confusion)


def macro_f1(confusion: npt.ArrayLike) -> float:
    """Mean F1 over the classes that have photos or predictions (0 if only one); nan without photos."""
    return _of_photos("macro_f1", confusion)


def label_ranks(scores: npt.ArrayLike, labels: npt.ArrayLike) -> np.ndarray:
    """Rank (n,) of each label among its photo's scores (n, classes): 0 = best.

    Of equal scores the lower class number ranks first, as in argmax: rank 0 is the prediction.
    """
    scores = finite("scores", scores)
    if scores.ndim != 2:
        raise KcarsError(f"scores: shape {scores.shape}; expected one row per photo and one column per class.")
    labels = _class_numbers("labels", labels, scores.shape[1])
    if len(labels) != len(scores):
        raise KcarsError(f"scores: {len(scores)} rows for {len(labels)} labels; expected one row per photo.")
    own = scores[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(int(scores.shape[1])) < labels[:, None]
    return (scores > own).sum(axis=1) + ((scores == own) & earlier).sum(axis=1)


def top_k_accuracy(scores: npt.ArrayLike, labels: npt.ArrayLike, k: int) -> float:
    """Share of photos whose label is among the k best of scores (n, classes); nan without photos.

    Of equal scores the lower class number ranks first; with k or fewer classes the result is 1.
    """
    found = label_ranks(scores, labels) < k
    return float(ratio(found.sum(), found.size))


def classification_scores(scores: npt.ArrayLike, labels: npt.ArrayLike, classes: int) -> dict[str, float]:
    """All scores of `photo_keys` for scores (n, classes) and labels (n,), as floats; nan without photos."""
    scores = class_scores(scores, classes)
    in_top5 = (label_ranks(scores, labels) < 5).sum()
    confusion = confusion_matrix(labels, scores.argmax(axis=1), classes)
    found = photo_scores(ScoredPhotos.of_confusion(confusion, in_top5))
    return {name: float(value) for name, value in found.items()}


def photo_scores(photos: ScoredPhotos, resampled: bool = False) -> dict[str, Value]:
    """All scores of `photo_keys` of `ScoredPhotos`, (...); resampled: only those with an interval."""
    return {name: _plain(value(photos)) for name, value in computed("photos", resampled).items()}


# ---- pairs ----


def roc_curve(
    same: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False-accept and true-accept rates, each (..., t + 1), and their decreasing thresholds (t + 1,).

    A pair is accepted when score >= threshold. Equal scores share one point; the first point, at infinity,
    accepts nothing. The rates of an absent kind are nan.
    """
    pairs = ScoredPairs(same, scores, weights=weights)
    return (*pairs.rates, pairs.accepted[2])


def roc_auc(same: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Value:
    """ROC-AUC: probability that a same pair scores above a different one, ties count half; nan if one kind is absent."""
    return _of_pairs("roc_auc", same, scores, weights)


def equal_error_rate(same: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Value:
    """Error rate where false-accept and false-reject rates are equal, by linear interpolation.

    0.5 if all scores are equal; nan if one kind is absent.
    """
    return _of_pairs("eer", same, scores, weights)


def tar_at_far(same: npt.ArrayLike, scores: npt.ArrayLike, far: float, weights: npt.ArrayLike | None = None) -> Value:
    """Largest true-accept rate at a threshold with a false-accept rate of at most `far`.

    No interpolation: with fewer than 1 / far different pairs none may be accepted. nan if one kind is absent.
    """
    return _plain(ScoredPairs(same, scores, weights=weights).accepted_within(far))


def best_threshold(same: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Threshold (accept when score >= threshold) of the best balanced accuracy, half-way between two scores.

    The highest of equally good ones; if all scores are equal, that score. nan if one kind is absent.
    """
    different, alike, points = ScoredPairs(same, scores).accepted
    if not different[-1] or not alike[-1]:
        return float("nan")
    if len(points) == 2:
        return float(points[1])
    # Products of integers, so that equally good thresholds compare as equal.
    gain = (alike * different[-1] - different * alike[-1])[1:-1]
    best = int(gain.argmax())
    upper, lower = points[1 + best], points[2 + best]
    middle = lower / 2 + upper / 2
    # Two adjacent floats have no midpoint.
    return float(middle if lower < middle <= upper else upper)


def threshold_scores(
    same: npt.ArrayLike, scores: npt.ArrayLike, threshold: float, weights: npt.ArrayLike | None = None
) -> dict[str, Value]:
    """accuracy, balanced_accuracy, f1, precision and recall if pairs with score >= threshold are predicted same.

    Precision and F1 are 0 if nothing is accepted. If one kind is absent, all but accuracy are nan; without pairs, or if
    the threshold is nan (undefined), all are.
    """
    decided = ScoredPairs(same, scores, threshold, weights).decided
    return {key: _plain(value) for key, value in decided.items()}


def pair_scores(
    same: npt.ArrayLike,
    scores: npt.ArrayLike,
    threshold: float,
    weights: npt.ArrayLike | None = None,
    resampled: bool = False,
) -> dict[str, Value]:
    """All scores of `pair_keys` at a fixed threshold: same (n,) 0 or 1, scores (n,), larger = more similar.

    If one kind is absent, all scores but accuracy are nan. resampled: only scores with an interval.
    """
    pairs = ScoredPairs(same, scores, threshold, weights)
    return {name: _plain(value(pairs)) for name, value in computed("pairs", resampled).items()}


# ---- parts ----


def class_scores(scores: npt.ArrayLike, classes: int) -> np.ndarray:
    """`scores` as an array, which must have one column per class: (n, classes)."""
    scores = np.asarray(scores)
    if scores.ndim != 2 or scores.shape[1] != classes:
        raise KcarsError(f"scores: shape {scores.shape}; expected (photos, {classes}).")
    return scores


def _of_photos(name: str, confusion: npt.ArrayLike) -> float:
    return float(computed("photos")[name](ScoredPhotos.of_confusion(confusion)))


def _of_pairs(name: str, same: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None) -> Value:
    return _plain(computed("pairs")[name](ScoredPairs(same, scores, weights=weights)))


def _class_numbers(name: str, values: npt.ArrayLike, classes: int) -> npt.NDArray[np.int64]:
    """`values` (n,) as int64 class numbers within 0 ... classes - 1."""
    values = np.asarray(values)
    if values.size and (values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= classes):
        raise KcarsError(
            f"{name}: {values.dtype} from {values.min()} to {values.max()}; expected integers from 0 to {classes - 1}."
        )
    return values.astype(np.int64).reshape(-1)


def _plain(values: np.ndarray) -> Value:
    """A float for a single value, an array for replicates."""
    return float(values) if np.ndim(values) == 0 else values
