"""Intervals against plain loops over explicit resamples, and their coverage on clustered data."""

import math

import numpy as np
import pytest
from sklearn import metrics as oracle

from kcars.core.errors import KcarsError
from kcars.core.rng import generator
from kcars.metrics import bootstrap
from kcars.metrics import scores as metrics


def clustered_pairs(seed, groups=12, pairs=240, spread=0.4):
    """Half the pairs within a group; all pairs of a group are easier or harder together, by `spread`."""
    generator = np.random.default_rng(seed)
    same = np.arange(pairs) % 2
    left = generator.integers(0, groups, pairs)
    right = np.where(same == 1, left, (left + generator.integers(1, groups, pairs)) % groups)
    ease = 0.7 + spread * generator.normal(size=groups)
    scores = (2 * same - 1) * (ease[left] + ease[right]) / 2 + generator.normal(size=pairs)
    return same, scores, left, right


def drawn_counts(groups, replicates, seed):
    random = generator(seed, "resamples", 0)
    return random.multinomial(groups, np.full(groups, 1 / groups), size=replicates)


def explicit_rows(counts, left, right):
    """Rows of the pairs of one resample, each as often as the drawn copies of its groups form it."""
    rows = []
    for row, (one, two) in enumerate(zip(left, right, strict=True)):
        rows += [row] * int(counts[one] if one == two else counts[one] * counts[two])
    return np.array(rows, int)


def test_pair_intervals_agree_with_a_plain_loop(monkeypatch):
    monkeypatch.setattr(bootstrap, "CHUNK_WEIGHTS", 240 * 7)  # several chunks and a short last one
    same, scores, left, right = clustered_pairs(0)
    scores = np.round(scores, 1)
    found = bootstrap.pair_intervals(same, scores, (left, right), 0.0, replicates=40, seed=5)
    rows = [explicit_rows(counts, left, right) for counts in drawn_counts(12, 40, 5)]
    loop = [metrics.pair_scores(same[row], scores[row], 0.0) for row in rows]
    assert tuple(found) == metrics.pair_keys()
    for key in metrics.pair_keys():
        expected = np.percentile([values[key] for values in loop], [2.5, 97.5])
        np.testing.assert_allclose(found[key], expected, err_msg=key)
    aucs = [oracle.roc_auc_score(same[row], scores[row]) for row in rows]
    np.testing.assert_allclose(found["roc_auc"], np.percentile(aucs, [2.5, 97.5]))


def test_paired_difference_agrees_with_scikit_learn_weights():
    same, first, left, right = clustered_pairs(1)
    second = first + np.random.default_rng(2).normal(size=len(first))
    difference, low, high = bootstrap.paired_difference(same, first, second, (left, right), 30, seed=3)
    samples = []
    for counts in drawn_counts(12, 30, 3):
        weights = np.where(left == right, counts[left], counts[left] * counts[right])
        one, two = (oracle.roc_auc_score(same, scores, sample_weight=weights) for scores in (first, second))
        samples.append(one - two)
    assert difference == pytest.approx(metrics.roc_auc(same, first) - metrics.roc_auc(same, second))
    np.testing.assert_allclose([low, high], np.percentile(samples, [2.5, 97.5]))


def test_a_model_does_not_differ_from_itself():
    same, scores, left, right = clustered_pairs(1)
    assert bootstrap.paired_difference(same, scores, scores, (left, right), 50) == (0.0, 0.0, 0.0)


def test_the_mean_of_several_runs_agrees_with_a_plain_loop(monkeypatch):
    monkeypatch.setattr(bootstrap, "CHUNK_WEIGHTS", 240 * 7)  # several chunks and a short last one
    same, first, left, right = clustered_pairs(1)
    noise = np.random.default_rng(2).normal(size=(5, len(first)))
    ours, theirs = [first + one for one in noise[:2]], [first + 2 * one for one in noise[2:]]
    found = bootstrap.paired_difference(same, ours, theirs, (left, right), 30, seed=3)
    samples = []
    for counts in drawn_counts(12, 30, 3):
        rows = explicit_rows(counts, left, right)
        of = [np.mean([oracle.roc_auc_score(same[rows], run[rows]) for run in runs]) for runs in (ours, theirs)]
        samples.append(of[0] - of[1])
    plain = [np.mean([oracle.roc_auc_score(same, run) for run in runs]) for runs in (ours, theirs)]
    np.testing.assert_allclose(found, [plain[0] - plain[1], *np.percentile(samples, [2.5, 97.5])])


def test_a_perfect_and_a_reversed_run_are_a_guess_on_the_mean():
    same, _, left, right = clustered_pairs(1)
    best = same * 1.0
    assert bootstrap.paired_difference(same, [best, -best], best, (left, right), 50) == (-0.5, -0.5, -0.5)
    assert bootstrap.paired_difference(same, [best, -best], 0 * best, (left, right), 50) == (0.0, 0.0, 0.0)


def test_seed_decides_and_names_of_groups_do_not():
    same, scores, left, right = clustered_pairs(4)
    names = np.array([f"model {group:02}" for group in range(12)])
    first = bootstrap.pair_intervals(same, scores, (left, right), 0.0, 60, seed=1)
    assert first == bootstrap.pair_intervals(same, scores, (names[left], names[right]), 0.0, 60, seed=1)
    assert first != bootstrap.pair_intervals(same, scores, (left, right), 0.0, 60, seed=2)


def test_the_global_generator_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    same, scores, left, right = clustered_pairs(4)
    bootstrap.pair_intervals(same, scores, (left, right), 0.0, 20)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_one_kind_leaves_only_the_interval_of_the_accuracy():
    _, scores, left, right = clustered_pairs(5)
    found = bootstrap.pair_intervals(np.ones(240, int), scores, (left, left), 0.0, 100)
    low, high = found.pop("accuracy")
    assert 0 < low < high < 1
    assert all(math.isnan(bound) for bounds in found.values() for bound in bounds)


def test_a_kind_that_hangs_on_one_group_is_undefined():
    # the only different pair vanishes in a third of the replicates, (1 - 1/3) ** 3 or so
    same, groups = np.array([1, 1, 0]), np.array([0, 1, 2])
    found = bootstrap.pair_intervals(same, np.array([0.9, 0.8, 0.1]), (groups, groups), 0.5, 200)
    assert np.isnan(found["roc_auc"]).all()
    assert found["accuracy"] == (1.0, 1.0)


@pytest.mark.parametrize("pairs", [0, 5])
def test_fewer_than_two_groups_say_nothing_of_spread(pairs):
    same, groups = np.arange(pairs) % 2, np.zeros(pairs, int)
    found = bootstrap.pair_intervals(same, same * 1.0, (groups, groups), 0.5, 10)
    assert np.isnan(list(found.values())).all()


def test_groups_of_another_length_are_refused():
    with pytest.raises(KcarsError, match="a left and a right group"):
        bootstrap.pair_intervals([0, 1], [0.1, 0.2], ([0, 1], [0]), 0.5, 10)
    with pytest.raises(KcarsError, match="expected pairs as the last axis"):
        bootstrap.pair_intervals([0, 1], [0.1, 0.2], ([0, 1, 1], [0, 1, 0]), 0.5, 10)


def test_clustered_intervals_cover_where_a_plain_pair_bootstrap_does_not():
    truth = metrics.roc_auc(*clustered_pairs(10_000, groups=3000, pairs=60_000, spread=1.0)[:2])
    plain_hits = clustered_hits = 0
    widths = []
    for seed in range(60):
        same, scores, left, right = clustered_pairs(seed, groups=30, pairs=900, spread=1.0)
        clustered = bootstrap.pair_intervals(same, scores, (left, right), 0.0, 200, seed)["roc_auc"]
        each = np.arange(len(same))  # every pair its own group
        plain = bootstrap.pair_intervals(same, scores, (each, each), 0.0, 200, seed)["roc_auc"]
        clustered_hits += clustered[0] <= truth <= clustered[1]
        plain_hits += plain[0] <= truth <= plain[1]
        widths.append(np.diff(clustered)[0] / np.diff(plain)[0])
    assert np.mean(widths) > 1.3
    assert clustered_hits >= 50 > plain_hits, (clustered_hits, plain_hits)


# ---- photos ----


def drawn_photos(seed, photos=400, classes=8):
    """Class 0 has no photo, class 1 has one."""
    generator = np.random.default_rng(seed)
    labels = np.append(generator.integers(2, classes, photos - 1), 1)
    scores = np.round(generator.normal(size=(photos, classes)) + 1.5 * np.eye(classes)[labels], 1)
    return scores, labels


def test_photo_intervals_agree_with_a_plain_loop():
    scores, labels = drawn_photos(0)
    found = bootstrap.photo_intervals(scores, labels, 8, replicates=4000, seed=1)
    generator = np.random.default_rng(2)
    rows_of = [np.flatnonzero(labels == label) for label in range(8)]
    loop = {key: [] for key in metrics.photo_keys()}
    for _ in range(1500):
        rows = np.concatenate([generator.choice(rows, len(rows)) for rows in rows_of if len(rows)])
        for key, value in metrics.classification_scores(scores[rows], labels[rows], 8).items():
            loop[key].append(value)
    assert tuple(found) == metrics.photo_keys()
    for key, values in loop.items():
        low, high = np.percentile(values, [2.5, 97.5])
        # other random numbers: the ends of 1,500 replicates are known to about a twelfth of the width
        np.testing.assert_allclose(found[key], (low, high), atol=(high - low) / 8, err_msg=key)


def test_photo_intervals_without_spread():
    scores, labels = np.eye(3)[[0, 0, 1]], np.array([0, 0, 1])
    found = bootstrap.photo_intervals(scores, labels, 3, 20)
    assert found == {key: (1.0, 1.0) for key in metrics.photo_keys()}


def test_photo_intervals_hold_the_score_and_follow_the_seed():
    scores, labels = drawn_photos(3)
    point = metrics.classification_scores(scores, labels, 8)
    found = bootstrap.photo_intervals(scores, labels, 8, 300, seed=1)
    assert all(found[key][0] < point[key] < found[key][1] for key in point)
    assert found == bootstrap.photo_intervals(scores, labels, 8, 300, seed=1)
    assert found != bootstrap.photo_intervals(scores, labels, 8, 300, seed=2)


def test_scores_of_other_classes_are_refused():
    with pytest.raises(KcarsError, match=r"expected \(photos, 3\)"):
        bootstrap.photo_intervals(np.eye(4), np.arange(4), 3, 10)


def test_no_photos_have_no_interval():
    found = bootstrap.photo_intervals(np.zeros((0, 3)), np.zeros(0, int), 3, 10)
    assert np.isnan(list(found.values())).all()


def test_balanced_accuracy_differs_by_the_classes_that_one_knows_better():
    labels = np.repeat([0, 1], [10, 90])
    better = labels == 0  # Right on the small class alone: half of the balanced accuracy.
    difference, low, high = bootstrap.paired_recall_difference(labels, better, np.zeros(100, bool))
    assert difference == low == high == 0.5
    half = np.arange(100) % 2 == 0
    difference, low, high = bootstrap.paired_recall_difference(labels, half, ~half)
    assert difference == 0 and low < 0 < high
    narrow = bootstrap.paired_recall_difference(np.tile(labels, 16), np.tile(half, 16), np.tile(~half, 16))
    assert (narrow[2] - narrow[1]) == pytest.approx((high - low) / 4, rel=0.2)
    assert np.isnan(bootstrap.paired_recall_difference([], [], [])).all()


def test_the_mean_of_several_runs_balanced_accuracy():
    labels = np.repeat([0, 1], [10, 90])
    always, never, small = np.ones(100, bool), np.zeros(100, bool), labels == 0
    assert bootstrap.paired_recall_difference(labels, [always, never], [never]) == (0.5, 0.5, 0.5)
    assert bootstrap.paired_recall_difference(labels, [always, small, never], never) == (0.5, 0.5, 0.5)
    half = np.arange(100) % 2 == 0
    # One knows the photos that the other does not: their mean is half of each photo, whichever are drawn.
    assert bootstrap.paired_recall_difference(labels, [half, ~half], never) == (0.5, 0.5, 0.5)
    runs = np.random.default_rng(0).random((4, 100)) < 0.6
    found = bootstrap.paired_recall_difference(labels, runs[:3], runs[3:], 4000)
    random, samples = np.random.default_rng(1), []
    for _ in range(1500):
        rows = np.concatenate([random.choice(np.flatnonzero(labels == label), n) for label, n in ((0, 10), (1, 90))])
        recall = [np.mean([run[rows[labels[rows] == label]].mean() for label in (0, 1)]) for run in runs]
        samples.append(np.mean(recall[:3]) - recall[3])
    assert found[0] == pytest.approx(
        np.mean([runs[:3, labels == k].mean() - runs[3, labels == k].mean() for k in (0, 1)])
    )
    # Other random numbers: the ends of 1,500 replicates are known to about a twelfth of the width.
    np.testing.assert_allclose(found[1:], np.percentile(samples, [2.5, 97.5]), atol=(found[2] - found[1]) / 8)
