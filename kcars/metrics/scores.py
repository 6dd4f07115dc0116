"""Scores of a classification or of a set of pairs in plain NumPy, with the recall of each class and the best threshold.

Undefined scores are nan (a caller prints "undefined"): no row at all, or pairs of one kind only.
Functions on pairs take `weights` of shape (n,) or (replicates, n), and then return (replicates,): that is how
`kcars.metrics.bootstrap` scores many resamples of the same pairs at once.
"""

import numpy as np

from kcars.core.errors import KcarsError
from kcars.metrics.catalogue import computed
from kcars.metrics.scored import ScoredPairs, ScoredPhotos, finite, ratio


def photo_keys() -> tuple[str, ...]:
    """Names of the scores of a classification, in their order."""
    return tuple(computed("photos"))


def pair_keys() -> tuple[str, ...]:
    """Names of the scores of pairs, in their order."""
    return tuple(computed("pairs"))


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
    return _of_photos("accuracy", confusion)


def class_recall(confusion):
    """Share of each class' photos that were recognised, (classes,); nan for a class without photos."""
    return ScoredPhotos.of_confusion(confusion).recall


def balanced_accuracy(confusion):
    """Mean recall of the classes that have photos, not of those only predicted; nan without photos."""
    return _of_photos("balanced_accuracy", confusion)


def macro_f1(confusion):
    """Mean F1 of the classes that have photos or were predicted (0 where only one); nan without photos."""
    return _of_photos("macro_f1", confusion)


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
    """Every score of `photo_keys` for scores (n, classes) and labels (n,), as floats; nan without photos."""
    scores = class_scores(scores, classes)
    in_top5 = (label_ranks(scores, labels) < 5).sum()
    confusion = confusion_matrix(labels, scores.argmax(axis=1), classes)
    return photo_scores(ScoredPhotos.of_confusion(confusion, in_top5))


def photo_scores(photos, resampled=False):
    """Every score of `photo_keys` of `ScoredPhotos`, (...); resampled: of those alone that get an interval."""
    return {name: _plain(value(photos)) for name, value in computed("photos", resampled).items()}


# ---- pairs ----


def roc_curve(same, scores, weights=None):
    """Rates (false accepts, true accepts), each (..., t + 1), and their falling thresholds (t + 1,).

    A pair is accepted when score >= threshold. Equal scores make one point; the first point, at infinity,
    accepts nothing. The rates of an absent kind are nan.
    """
    pairs = ScoredPairs(same, scores, weights=weights)
    return (*pairs.rates, pairs.accepted[2])


def roc_auc(same, scores, weights=None):
    """Chance that a same pair scores above a different one, ties count half; nan where one kind is absent."""
    return _of_pairs("roc_auc", same, scores, weights)


def equal_error_rate(same, scores, weights=None):
    """Error rate where false accepts equal false rejects, on straight lines between the points of the curve.

    0.5 if all scores are equal; nan where one kind is absent.
    """
    return _of_pairs("eer", same, scores, weights)


def tar_at_far(same, scores, far, weights=None):
    """Largest share of same pairs accepted at a threshold that accepts at most `far` of the different ones.

    No interpolation: with fewer than 1 / far different pairs none may be accepted. nan where one kind is
    absent.
    """
    return _plain(ScoredPairs(same, scores, weights=weights).accepted_within(far))


def best_threshold(same, scores):
    """Threshold (accept when score >= it) of the best balanced accuracy, half-way between two scores.

    Of equally good ones the highest. All scores equal: that score. nan if one kind is absent.
    """
    different, alike, points = ScoredPairs(same, scores).accepted
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
    """accuracy, balanced_accuracy, f1, precision and recall when pairs with score >= threshold are called the same.

    Precision and F1 are 0 where nothing is accepted. Where one kind is absent all but accuracy are nan; where
    there are no pairs, or the threshold is nan (undefined), all are.
    """
    decided = ScoredPairs(same, scores, threshold, weights).decided
    return {key: _plain(value) for key, value in decided.items()}


def pair_scores(same, scores, threshold, weights=None, resampled=False):
    """Every score of `pair_keys`: same (n,) 0 or 1, scores (n,), larger = more alike; a frozen threshold.

    Where one kind is absent every score but the accuracy is nan. resampled: of those alone that get an interval.
    """
    pairs = ScoredPairs(same, scores, threshold, weights)
    return {name: _plain(value(pairs)) for name, value in computed("pairs", resampled).items()}


# ---- parts ----


def class_scores(scores, classes):
    """`scores` as an array, if it is one column a class: (n, classes)."""
    scores = np.asarray(scores)
    if scores.ndim != 2 or scores.shape[1] != classes:
        raise KcarsError(f"scores: shape {scores.shape}; expected (photos, {classes}).")
    return scores


def _of_photos(name, confusion):
    return float(computed("photos")[name](ScoredPhotos.of_confusion(confusion)))


def _of_pairs(name, same, scores, weights):
    return _plain(computed("pairs")[name](ScoredPairs(same, scores, weights=weights)))


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
