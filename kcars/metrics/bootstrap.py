"""95 % percentile bootstrap intervals (Efron 1979), which resample independent units.

Pairs share photos and models, so models are resampled with all their pairs (vertex bootstrap, Snijders and
Borgatti 1999), never single pairs. Photos of a test list are resampled within their class: classes are fixed.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from kcars.core.errors import KcarsError
from kcars.core.rng import generator
from kcars.metrics.catalogue import computed
from kcars.metrics.scored import ScoredPhotos, ratio
from kcars.metrics.scores import Value, class_scores, label_ranks, pair_scores, photo_scores, roc_auc

PERCENTILES = (2.5, 97.5)
# If more than this share of the replicates is undefined, the others are a biased sample.
UNDEFINED_ALLOWED = 0.1
# Weights in memory at a time: about ten arrays of this many float64 are 120 MB.
CHUNK_WEIGHTS = 1_500_000

Interval = tuple[float, float]
Measured = Callable[[np.ndarray], dict[str, np.ndarray]]
"""A function of weights (..., n) that returns scores (...) by name."""
PairGroups = tuple[npt.ArrayLike, npt.ArrayLike]


def pair_intervals(
    same: npt.ArrayLike,
    scores: np.ndarray,
    groups: PairGroups,
    threshold: float,
    replicates: int = 1000,
    seed: int = 0,
    more: Measured | None = None,
) -> dict[str, Interval]:
    """Intervals (low, high) of the scores of pairs, resampling groups (models; makes for hard pairs).

    groups: groups of the left and of the right photos, (n,) each. more: returns additional scores by name for weights
    (replicates, pairs) of the pairs; their resamples are centred.
    Each replicate draws as many groups as there are, with replacement. A pair within one group counts once
    per draw of it, a pair of two groups once per combination of their draws.
    Replicates in which a score is undefined (one kind or no pair left) are left out of that score; (nan, nan)
    if more than a tenth of them are, or with fewer than two groups.
    """
    values_of_more = more(np.ones(len(scores))) if more else {}
    samples = {key: np.full(replicates, np.nan) for key in (*computed("pairs", resampled=True), *values_of_more)}
    for rows, weights in _pair_weights(groups, replicates, seed):
        found = pair_scores(same, scores, threshold, weights, resampled=True)
        for key, values in (found | more(weights) if more else found).items():
            samples[key][rows] = values
    for key, value in values_of_more.items():
        samples[key] = _centred(samples[key], value)
    return {key: _percentiles(values) for key, values in samples.items()}


def paired_difference(
    same: npt.ArrayLike,
    scores_a: npt.ArrayLike,
    scores_b: npt.ArrayLike,
    groups: PairGroups,
    replicates: int = 1000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """(difference, low, high) of the ROC-AUC of scores_a minus that of scores_b, two models on the same pairs.

    scores_a, scores_b: (n,), or (runs, n) of several runs of each, such as other seeds, whose mean ROC-AUC is used. All
    are scored on the same resamples of groups as in `pair_intervals` with the same seed. An interval without 0 means that
    the models differ on other pairs too; it does not cover other seeds.
    """
    samples = np.full(replicates, np.nan)
    for rows, weights in _pair_weights(groups, replicates, seed):
        samples[rows] = _mean_auc(same, scores_a, weights) - _mean_auc(same, scores_b, weights)
    return float(_mean_auc(same, scores_a) - _mean_auc(same, scores_b)), *_percentiles(samples)


def _mean_auc(same: npt.ArrayLike, scores: npt.ArrayLike, weights: np.ndarray | None = None) -> Value:
    """Mean ROC-AUC of the runs, (replicates,) for weights (replicates, n)."""
    return np.mean(np.stack([roc_auc(same, run, weights) for run in np.atleast_2d(scores)]), axis=0)


def paired_recall_difference(
    labels: npt.ArrayLike, right_a: npt.ArrayLike, right_b: npt.ArrayLike, replicates: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """(difference, low, high) of balanced accuracy, a minus b, of two models on the same photos.

    labels (n,); right_a, right_b: whether each model classified the photo correctly, (n,), or (runs, n) of several runs,
    whose mean is used. Photos are drawn with replacement within their class, the same for all. Classes without photos are
    left out; (nan, nan, nan) if all are.
    """
    labels = np.asarray(labels)
    first, second = (np.atleast_2d(np.asarray(each, float)).mean(axis=0) for each in (right_a, right_b))
    difference, random = first - second, generator(seed, "resamples", 0)
    classes, total, samples = np.unique(labels), 0.0, np.zeros(replicates)
    for label in classes:
        mine = difference[labels == label]
        outcomes, counts = np.unique(mine, return_counts=True)
        draws = random.multinomial(len(mine), counts / len(mine), size=replicates)
        total += mine.mean()
        samples += draws @ outcomes / len(mine)
    if not len(classes):
        return float("nan"), float("nan"), float("nan")
    return total / len(classes), *_percentiles(samples / len(classes))


def photo_intervals(
    scores: npt.ArrayLike, labels: npt.ArrayLike, classes: int, replicates: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """Intervals (low, high) of the scores of photos, from scores (n, classes) and labels (n,).

    Photos are drawn with replacement within their class. A class of one photo never varies: with few photos per
    class the intervals are too narrow. Ties as in `kcars.metrics.scores`; (nan, nan) without photos.
    """
    scores, labels = class_scores(scores, classes), np.asarray(labels)
    found = label_ranks(scores, labels) < 5
    predicted = scores.argmax(axis=1)
    random = generator(seed, "resamples", 0)
    photos = np.bincount(labels.astype(np.int64), minlength=classes)
    hits, predictions = np.zeros((2, replicates, classes))
    top5 = np.zeros(replicates)
    for label in np.flatnonzero(photos):
        mine = labels == label
        # Photos of a class with the same prediction and top-5 result are interchangeable, so they are counted.
        outcomes, counts = np.unique(predicted[mine] * 2 + found[mine], return_counts=True)
        draws = random.multinomial(photos[label], counts / photos[label], size=replicates)
        for in_top5 in (0, 1):
            chosen = outcomes % 2 == in_top5
            predictions[:, outcomes[chosen] // 2] += draws[:, chosen]
            top5 += in_top5 * draws[:, chosen].sum(axis=1)
        hits[:, label] = draws[:, outcomes // 2 == label].sum(axis=1)
    samples = photo_scores(ScoredPhotos(photos, hits, predictions, top5), resampled=True)
    return {key: _percentiles(np.asarray(values)) for key, values in samples.items()}


def weighted_photo_intervals(
    measured: Measured, labels: npt.ArrayLike, replicates: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """Intervals (low, high) of the scores that `measured` returns by name for weights (replicates, n) of photos.

    Photos are drawn with replacement within their class, as in `photo_intervals`; resamples are centred.
    """
    labels, random = np.asarray(labels), generator(seed, "resamples", 0)
    samples: dict[str, list[np.ndarray]] = {}
    size = max(1, CHUNK_WEIGHTS // max(1, len(labels)))
    for start in range(0, replicates, size):
        weights = np.zeros((min(size, replicates - start), len(labels)))
        for label in np.unique(labels):
            mine = np.flatnonzero(labels == label)
            weights[:, mine] = random.multinomial(len(mine), np.full(len(mine), 1 / len(mine)), size=len(weights))
        for key, values in measured(weights).items():
            samples.setdefault(key, []).append(values)
    values = measured(np.ones(len(labels)))
    return {key: _percentiles(_centred(np.concatenate(each), values[key])) for key, each in samples.items()}


def query_intervals(values: npt.ArrayLike, groups: npt.ArrayLike, replicates: int = 1000, seed: int = 0) -> Interval:
    """Interval (low, high) of the mean of values (n,) of query photos, nan for queries without matches.

    Groups (models) are drawn with replacement, with all their photos as queries; the searched photos are not resampled,
    because a model drawn twice would find itself. (nan, nan) for fewer than two groups with values.
    """
    values, defined = np.asarray(values, np.float64), np.isfinite(values)
    _, numbers = np.unique(np.asarray(groups)[defined], return_inverse=True)
    sums, counts = np.bincount(numbers, values[defined]), np.bincount(numbers)
    if len(counts) < 2:
        return float("nan"), float("nan")
    random = generator(seed, "resamples", 0)
    drawn = random.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=replicates)
    return _percentiles(ratio(drawn @ sums, drawn @ counts))


def _centred(samples: np.ndarray, value: Value) -> np.ndarray:
    """Samples shifted so that their mean is the value: a mean of distances is larger in a resample, which is noisier.

    Nonnegative samples stay nonnegative.
    """
    if not np.isfinite(samples).any():
        return samples
    moved = samples - np.nanmean(samples) + value
    return np.maximum(moved, 0.0) if np.nanmin(samples) >= 0 else moved


def _pair_weights(groups: PairGroups, replicates: int, seed: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields (slice of replicates, their weights (..., pairs) float64); nothing for fewer than two groups."""
    left_groups, right_groups = (np.asarray(each) for each in groups)
    if left_groups.ndim != 1 or left_groups.shape != right_groups.shape:
        raise KcarsError(
            f"groups: shapes {left_groups.shape}, {right_groups.shape}; expected a left and a right group per pair."
        )
    names, numbers = np.unique(np.concatenate([left_groups, right_groups]), return_inverse=True)
    distinct = len(names)
    if distinct < 2:
        return
    left, right = numbers.reshape(2, -1)
    right = np.where(left == right, distinct, right)  # the extra column of ones below
    random = generator(seed, "resamples", 0)
    size = max(1, CHUNK_WEIGHTS // len(left))
    for start in range(0, replicates, size):
        rows = slice(start, min(start + size, replicates))
        drawn = random.multinomial(distinct, np.full(distinct, 1 / distinct), size=rows.stop - start)
        counts = np.column_stack([drawn, np.ones(len(drawn))])
        yield rows, counts[:, left] * counts[:, right]


def _percentiles(samples: np.ndarray) -> Interval:
    """(low, high) of the defined samples; (nan, nan) if more than a tenth are undefined."""
    defined = samples[np.isfinite(samples)]
    if not len(defined) or len(samples) - len(defined) > UNDEFINED_ALLOWED * len(samples):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, PERCENTILES)
    return float(low), float(high)
