"""Scores of a classification or of a set of pairs, in plain numpy.

Undefined scores are nan (a caller prints "undefined"): no row at all, or pairs of one kind only.
Functions on pairs take `weights` of shape (n,) or (replicates, n), and then return (replicates,): that is how
`kcars.metrics.bootstrap` scores many resamples of the same pairs at once.
"""

import numpy as np

from kcars.core.errors import KcarsError

CLASSIFICATION_KEYS = ("accuracy", "balanced_accuracy", "top5", "macro_f1")
THRESHOLD_KEYS = ("accuracy", "balanced_accuracy", "f1", "precision", "recall")
PAIR_KEYS = ("roc_auc", *THRESHOLD_KEYS, "eer", "tar_at_far_1e-2", "tar_at_far_1e-3")


# ---- classification ----


def confusion_matrix(labels, predicted, classes):
    """Counts (classes, classes) int64: row = label, column = predicted class; all 0 for no photos."""
    labels = _class_numbers("labels", labels, classes)
    predicted = _class_numbers("predicted", predicted, classes)
    if labels.shape != predicted.shape:
        raise KcarsError(f"predicted: {predicted.size} numbers for {labels.size} labels; give one a label.")
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def accuracy(confusion):
    """Share of photos on the diagonal; nan without photos."""
    confusion = np.asarray(confusion)
    return float(ratio(np.trace(confusion), confusion.sum()))


def class_recall(confusion):
    """Share of each class' photos that were recognised, (classes,); nan for a class without photos."""
    confusion = np.asarray(confusion)
    return ratio(np.diagonal(confusion), confusion.sum(axis=1))


def balanced_accuracy(confusion):
    """Mean recall of the classes that have photos, not of those only predicted; nan without photos."""
    recall = class_recall(confusion)
    return float(ratio(np.nansum(recall), np.isfinite(recall).sum()))


def macro_f1(confusion):
    """Mean F1 of the classes that have photos or were predicted (0 where only one); nan without photos."""
    confusion = np.asarray(confusion)
    f1 = class_f1(np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0))
    return float(ratio(np.nansum(f1), np.isfinite(f1).sum()))


def class_f1(hits, photos, predictions):
    """F1 of each class, 2 hits / (photos + predictions), any shape; nan for a class with neither."""
    return ratio(2 * np.asarray(hits), np.asarray(photos) + predictions)


def label_ranks(scores, labels):
    """Rank (n,) of each label among its photo's scores (n, classes): 0 = best.

    Of equal scores the lower class number ranks first, as argmax has it: rank 0 and "predicted" are the same.
    """
    scores = finite("scores", scores)
    if scores.ndim != 2:
        raise KcarsError(f"scores: shape {scores.shape}; give one row a photo and one column a class.")
    labels = _class_numbers("labels", labels, scores.shape[1])
    if len(labels) != len(scores):
        raise KcarsError(f"scores: {len(scores)} rows for {len(labels)} labels; give one row a photo.")
    own = scores[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(scores.shape[1]) < labels[:, None]
    return (scores > own).sum(axis=1) + ((scores == own) & earlier).sum(axis=1)


def top_k_accuracy(scores, labels, k):
    """Share of photos whose label is among the k best of scores (n, classes); nan without photos.

    Of equal scores the lower class number goes first; with k or fewer classes every photo counts as found.
    """
    found = label_ranks(scores, labels) < k
    return float(ratio(found.sum(), found.size))


def classification_scores(scores, labels, classes):
    """All CLASSIFICATION_KEYS for scores (n, classes) and labels (n,), as floats; nan without photos."""
    scores = class_scores(scores, classes)
    top5 = top_k_accuracy(scores, labels, 5)
    confusion = confusion_matrix(labels, scores.argmax(axis=1), classes)
    values = accuracy(confusion), balanced_accuracy(confusion), top5, macro_f1(confusion)
    return dict(zip(CLASSIFICATION_KEYS, values, strict=True))


# ---- pairs ----


def roc_curve(same, scores, weights=None):
    """Rates (false accepts, true accepts), each (..., t + 1), and their falling thresholds (t + 1,).

    A pair is accepted when score >= threshold. Equal scores make one point; the first point, at infinity,
    accepts nothing. The rates of an absent kind are nan.
    """
    accepted = _accepted(*_pairs(same, scores, weights))
    return (*_rates(*accepted[:2]), accepted[2])


def roc_auc(same, scores, weights=None):
    """Chance that a same pair scores above a different one, ties count half; nan where one kind is absent."""
    different, alike, _ = _accepted(*_pairs(same, scores, weights))
    return _plain(_area(different, alike))


def equal_error_rate(same, scores, weights=None):
    """Error rate where false accepts equal false rejects, on straight lines between the points of the curve.

    0.5 if all scores are equal; nan where one kind is absent.
    """
    false_accept, true_accept, _ = roc_curve(same, scores, weights)
    return _plain(_crossing(false_accept, true_accept))


def tar_at_far(same, scores, far, weights=None):
    """Largest share of same pairs accepted at a threshold that accepts at most `far` of the different ones.

    No interpolation: with fewer than 1 / far different pairs none may be accepted. nan where one kind is
    absent.
    """
    false_accept, true_accept, _ = roc_curve(same, scores, weights)
    return _plain(_highest_within(false_accept, true_accept, far))


def best_threshold(same, scores):
    """Threshold (accept when score >= it) of the best balanced accuracy, half-way between two scores.

    Of equally good ones the highest. All scores equal: that score. nan if one kind is absent.
    """
    different, alike, points = _accepted(*_pairs(same, scores, None))
    if not different[-1] or not alike[-1]:
        return float("nan")
    if len(points) == 2:
        return float(points[1])
    # products of whole numbers, so that equally good thresholds compare as equal
    gain = (alike * different[-1] - different * alike[-1])[1:-1]
    best = int(gain.argmax())
    upper, lower = points[1 + best], points[2 + best]
    middle = lower / 2 + upper / 2
    # between two adjacent floats there is no middle
    return float(middle if lower < middle <= upper else upper)


def threshold_scores(same, scores, threshold, weights=None):
    """THRESHOLD_KEYS when pairs with score >= threshold are called the same.

    Precision and F1 are 0 where nothing is accepted. Where one kind is absent all but accuracy are nan; where
    there are no pairs, or the threshold is nan (undefined), all are.
    """
    same, scores, weights = _pairs(same, scores, weights)
    called = scores >= threshold
    columns = np.stack([same, ~same, same & called, ~same & called], axis=1)
    alike, different, hits, false_accepts = np.moveaxis(weights @ columns.astype(np.float64), -1, 0)
    recall = ratio(hits, alike)
    values = {
        "accuracy": ratio(hits + different - false_accepts, alike + different),
        "balanced_accuracy": (recall + 1 - ratio(false_accepts, different)) / 2,
        "f1": ratio(2 * hits, hits + false_accepts + alike),
        "precision": ratio(hits, hits + false_accepts, empty=0.0),
        "recall": recall,
    }
    one_kind = (alike == 0) | (different == 0)
    hidden = {key: np.isnan(threshold) | (one_kind & (key != "accuracy")) for key in values}
    return {key: _plain(np.where(hidden[key], np.nan, value)) for key, value in values.items()}


def pair_scores(same, scores, threshold, weights=None):
    """All PAIR_KEYS of pairs: same (n,) 0 or 1, scores (n,), larger = more alike; a frozen threshold.

    Where one kind is absent every score but the accuracy is nan.
    """
    same, scores, weights = _pairs(same, scores, weights)
    different, alike, _ = _accepted(same, scores, weights)
    false_accept, true_accept = _rates(different, alike)
    values = {
        "roc_auc": _plain(_area(different, alike)),
        **threshold_scores(same, scores, threshold, weights),
        "eer": _plain(_crossing(false_accept, true_accept)),
        "tar_at_far_1e-2": _plain(_highest_within(false_accept, true_accept, 1e-2)),
        "tar_at_far_1e-3": _plain(_highest_within(false_accept, true_accept, 1e-3)),
    }
    return {key: values[key] for key in PAIR_KEYS}


# ---- parts ----


def class_scores(scores, classes):
    """`scores` as an array, if it is one column a class: (n, classes)."""
    scores = np.asarray(scores)
    if scores.ndim != 2 or scores.shape[1] != classes:
        raise KcarsError(f"scores: shape {scores.shape}; expected (photos, {classes}).")
    return scores


def ratio(part, whole, empty=np.nan):
    """part / whole as float64 of their common shape; `empty` where whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.divide(part, whole, out=np.full(part.shape, empty), where=whole != 0)


def _accepted(same, scores, weights):
    """Weight of accepted different and same pairs, each (..., t + 1), at the falling thresholds (t + 1,)."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(ordered) else order
    weights, alike = weights[..., order], same[order]
    totals = [_running_totals(weights * kind, last) for kind in (~alike, alike)]
    return *totals, np.append(np.inf, ordered[last])


def _running_totals(weights, last):
    """Sums of weights (..., n) up to each position in `last`, with a leading 0: (..., t + 1)."""
    totals = np.zeros((*weights.shape[:-1], len(last) + 1))
    if len(last) == weights.shape[-1]:  # no two scores are equal
        np.cumsum(weights, axis=-1, out=totals[..., 1:])
    else:  # equal scores are accepted together, so only the total at the last of them is a point
        totals[..., 1:] = np.cumsum(weights, axis=-1)[..., last]
    return totals


def _rates(different, alike):
    """Accepted weights as shares of all, nan for an absent kind."""
    return ratio(different, different[..., -1:]), ratio(alike, alike[..., -1:])


def _area(different, alike):
    """Area under the curve from accepted weights; divided once, so that whole weights lose nothing before."""
    steps = np.diff(different, axis=-1)
    doubled = np.einsum("...t,...t->...", steps, alike[..., 1:] + alike[..., :-1])
    return ratio(doubled, 2 * different[..., -1] * alike[..., -1])


def _crossing(false_accept, true_accept):
    """False-accept rate where the curve meets false accepts = 1 - true accepts."""
    gap = 1 - true_accept - false_accept  # falls from 1 to -1
    after = np.maximum(np.argmax(gap <= 0, axis=-1), 1 if gap.shape[-1] > 1 else 0)[..., None]
    before = np.maximum(after - 1, 0)
    gap_before, gap_after = (np.take_along_axis(gap, at, axis=-1)[..., 0] for at in (before, after))
    low, high = (np.take_along_axis(false_accept, at, axis=-1)[..., 0] for at in (before, after))
    return low + (high - low) * ratio(gap_before, gap_before - gap_after)


def _highest_within(false_accept, true_accept, far):
    """True-accept rate at the last point whose false-accept rate is at most `far`; nan rates stay nan."""
    at = np.maximum((false_accept <= far).sum(axis=-1) - 1, 0)[..., None]
    found = np.take_along_axis(true_accept, at, axis=-1)[..., 0]
    return np.where(np.isnan(false_accept[..., 0]), np.nan, found)


def _pairs(same, scores, weights):
    """Checked (same (n,) bool, scores (n,) float64, weights (..., n) float64)."""
    same, scores = np.asarray(same), finite("scores", scores).astype(np.float64)
    if same.ndim != 1 or same.shape != scores.shape:
        raise KcarsError(f"scores: shape {scores.shape}, same: shape {same.shape}; give one of each a pair.")
    if not np.isin(same, (0, 1)).all():
        raise KcarsError(f"same: values {np.unique(same)[:5]}; allowed are 1 (same) and 0 (different).")
    weights = np.ones(len(same)) if weights is None else np.asarray(weights, np.float64)
    if weights.shape[-1:] != same.shape:
        raise KcarsError(f"weights: shape {weights.shape} for {len(same)} pairs; the last axis is the pairs.")
    return same.astype(bool), scores, weights


def finite(name, values):
    """`values` as an array without nan or infinity, which would be ranked silently and wrongly."""
    values = np.asarray(values)
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        raise KcarsError(f"{name}: {bad} of {values.size} are nan or infinite; look for a diverged training.")
    return values


def _class_numbers(name, values, classes):
    """`values` (n,) as int64 class numbers within 0 ... classes - 1."""
    values = np.asarray(values)
    if values.size and (values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= classes):
        raise KcarsError(
            f"{name}: {values.dtype} from {values.min()} to {values.max()}; allowed are whole numbers "
            f"from 0 to {classes - 1}."
        )
    return values.astype(np.int64).reshape(-1)


def _plain(values):
    """A float for a single value, the array for many replicates."""
    return float(values) if np.ndim(values) == 0 else values
