"""Metrics against cases known by heart and against scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from kcars.core.errors import KcarsError
from kcars.metrics import scores as metrics

FOUR_PHOTOS = np.array([[1, 1, 0], [0, 2, 0], [0, 0, 0]])  # class 2 has no photo and is never predicted


def drawn_photos(seed, photos=200, classes=9, levels=4):
    """Scores with many ties, labels without class 0 and with class 1 rare."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(1, classes, photos)
    labels[labels == 1] = np.where(generator.random((labels == 1).sum()) < 0.9, 2, 1)
    scores = generator.integers(0, levels, (photos, classes)) + 2.0 * np.eye(classes)[labels]
    return scores, labels


def drawn_pairs(seed, pairs=300, levels=None):
    generator = np.random.default_rng(seed)
    same = generator.integers(0, 2, pairs)
    scores = same + generator.normal(size=pairs)
    return same, scores if levels is None else np.round(scores * levels) / levels


pair_lists = st.lists(st.tuples(st.integers(0, 1), st.integers(-5, 5)), min_size=2, max_size=40).filter(
    lambda pairs: len({same for same, _ in pairs}) == 2
)


# ---- classification ----


def test_confusion_of_four_photos():
    confusion = metrics.confusion_matrix([0, 0, 1, 1], [0, 1, 1, 1], 3)
    np.testing.assert_array_equal(confusion, FOUR_PHOTOS)
    assert confusion.dtype == np.int64


def test_scores_of_four_photos():
    assert metrics.accuracy(FOUR_PHOTOS) == 0.75
    np.testing.assert_array_equal(metrics.class_recall(FOUR_PHOTOS), [0.5, 1, np.nan])
    assert metrics.balanced_accuracy(FOUR_PHOTOS) == 0.75
    assert metrics.macro_f1(FOUR_PHOTOS) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_a_class_that_is_only_predicted_lowers_f1_but_not_balanced_accuracy():
    confusion = metrics.confusion_matrix([0, 0], [0, 1], 2)
    assert metrics.balanced_accuracy(confusion) == 0.5
    assert metrics.macro_f1(confusion) == pytest.approx((2 / 3 + 0) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_classification_agrees_with_scikit_learn(seed):
    scores, labels = drawn_photos(seed)
    predicted = scores.argmax(axis=1)
    values = metrics.classification_scores(scores, labels, 9)
    assert tuple(values) == metrics.photo_keys()
    assert values["accuracy"] == pytest.approx(oracle.accuracy_score(labels, predicted))
    assert values["macro_f1"] == pytest.approx(oracle.f1_score(labels, predicted, average="macro", zero_division=0))
    with pytest.warns(UserWarning, match="not in y_true"):
        expected = oracle.balanced_accuracy_score(labels, np.append(predicted[:-1], 0))
    confusion = metrics.confusion_matrix(labels, np.append(predicted[:-1], 0), 9)
    assert metrics.balanced_accuracy(confusion) == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 3, 5, 9])
def test_top_k_agrees_with_scikit_learn(k):
    scores, labels = drawn_photos(0)
    scores += np.random.default_rng(1).random(scores.shape) / 10  # its rule for ties is another
    expected = oracle.top_k_accuracy_score(labels, scores, k=k, labels=range(9)) if k < 9 else 1.0
    assert metrics.top_k_accuracy(scores, labels, k) == pytest.approx(expected)


def test_ties_rank_the_lower_class_first_as_argmax_does():
    assert metrics.label_ranks(np.zeros((3, 3)), [0, 1, 2]).tolist() == [0, 1, 2]
    scores, labels = drawn_photos(3)
    assert metrics.top_k_accuracy(scores, labels, 1) == np.mean(scores.argmax(axis=1) == labels)


def test_no_photos_are_undefined():
    values = metrics.classification_scores(np.zeros((0, 3)), [], 3)
    assert all(math.isnan(value) for value in values.values())


@pytest.mark.parametrize(
    "labels, predicted, words",
    [
        ([0, 3], [0, 1], "from 0 to 3"),
        ([-1], [0], "from -1"),
        ([0.5], [0], "integers"),
        ([0], [0, 1], "one per label"),
    ],
)
def test_impossible_class_numbers_are_refused(labels, predicted, words):
    with pytest.raises(KcarsError, match=words):
        metrics.confusion_matrix(labels, predicted, 3)


def test_wrong_shapes_and_nan_are_refused():
    with pytest.raises(KcarsError, match=r"expected \(photos, 4\)"):
        metrics.classification_scores(np.zeros((2, 3)), [0, 1], 4)
    with pytest.raises(KcarsError, match="one row per photo"):
        metrics.label_ranks(np.zeros((2, 3)), [0])
    with pytest.raises(KcarsError, match="1 of 2 are nan"):
        metrics.label_ranks(np.array([[np.nan, 1]]), [0])


# ---- pairs ----


def test_four_pairs_by_heart():
    same, scores = [1, 1, 0, 0], [0.9, 0.4, 0.5, 0.1]
    assert metrics.roc_auc(same, scores) == 0.75
    assert metrics.equal_error_rate(same, scores) == 0.5
    assert metrics.tar_at_far(same, scores, 0.01) == 0.5
    assert metrics.tar_at_far(same, scores, 0.5) == 1.0
    # 0.7 and 0.25 are equally good (0.75): the higher one
    assert metrics.best_threshold(same, scores) == pytest.approx(0.7)
    values = metrics.threshold_scores(same, scores, 0.45)
    assert values == {
        "accuracy": 0.5, "balanced_accuracy": 0.5, "f1": 0.5, "precision": 0.5, "recall": 0.5
    }  # fmt: skip


def test_curve_of_tied_scores_has_one_point_a_score():
    false_accept, true_accept, thresholds = metrics.roc_curve([1, 0, 1, 0], [2.0, 2.0, 2.0, 1.0])
    np.testing.assert_array_equal(thresholds, [np.inf, 2, 1])
    np.testing.assert_array_equal(false_accept, [0, 0.5, 1])
    np.testing.assert_array_equal(true_accept, [0, 1, 1])


def test_perfect_and_constant_scores():
    assert metrics.pair_scores([0, 1], [0.0, 1.0], 0.5) == {
        key: 0.0 if key == "eer" else 1.0 for key in metrics.pair_keys()
    }
    values = metrics.pair_scores([0, 1], [3.0, 3.0], 4)
    assert (values["roc_auc"], values["eer"], values["tar_at_far_1e-2"]) == (0.5, 0.5, 0.0)
    assert (values["precision"], values["f1"], values["balanced_accuracy"]) == (0.0, 0.0, 0.5)
    assert metrics.best_threshold([0, 1], [3.0, 3.0]) == 3.0


@pytest.mark.parametrize("levels", [None, 3, 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_pairs_agree_with_scikit_learn(levels, weighted):
    same, scores = drawn_pairs(0, levels=levels)
    weights = np.random.default_rng(1).integers(1, 4, len(same)) if weighted else None
    values = metrics.pair_scores(same, scores, 0.5, weights)
    called = scores >= 0.5
    assert values["roc_auc"] == pytest.approx(oracle.roc_auc_score(same, scores, sample_weight=weights))
    for key, function in {
        "accuracy": oracle.accuracy_score, "balanced_accuracy": oracle.balanced_accuracy_score,
        "f1": oracle.f1_score, "precision": oracle.precision_score, "recall": oracle.recall_score,
    }.items():  # fmt: skip
        assert values[key] == pytest.approx(function(same, called, sample_weight=weights)), key
    curve = oracle.roc_curve(same, scores, sample_weight=weights, drop_intermediate=False)
    for ours, theirs in zip(metrics.roc_curve(same, scores, weights), curve, strict=True):
        np.testing.assert_allclose(ours, theirs)
    for name, far in {"1e-2": 0.01, "1e-3": 0.001}.items():
        assert values[f"tar_at_far_{name}"] == pytest.approx(curve[1][curve[0] <= far].max())
    assert values["eer"] == pytest.approx(np.interp(0, curve[0] + curve[1] - 1, curve[0]))


def test_a_whole_weight_is_a_repeated_pair():
    same, scores = drawn_pairs(2, pairs=60, levels=2)
    weights = np.random.default_rng(3).integers(0, 3, 60)
    repeated = metrics.pair_scores(np.repeat(same, weights), np.repeat(scores, weights), 0.4)
    assert metrics.pair_scores(same, scores, 0.4, weights) == pytest.approx(repeated)


def test_replicates_are_scored_as_one_by_one():
    same, scores = drawn_pairs(4, pairs=50, levels=2)
    weights = np.random.default_rng(5).integers(0, 3, (7, 50))
    weights[3, same == 1] = 0  # one kind left
    weights[4] = 0  # nothing left
    together = metrics.pair_scores(same, scores, 0.4, weights)
    for row, weight in enumerate(weights):
        alone = metrics.pair_scores(same, scores, 0.4, weight)
        for key in metrics.pair_keys():
            np.testing.assert_allclose(together[key][row], alone[key], err_msg=key)
    assert np.isnan(together["eer"]).tolist() == [False, False, False, True, True, False, False]


@pytest.mark.parametrize("kind", [0, 1])
def test_one_kind_leaves_only_the_accuracy(kind):
    values = metrics.pair_scores([kind] * 4, [0.1, 0.6, 0.7, 0.8], 0.5)
    assert values.pop("accuracy") == (0.75 if kind else 0.25)
    assert all(math.isnan(value) for value in values.values())
    assert math.isnan(metrics.best_threshold([kind] * 4, [0.1, 0.6, 0.7, 0.8]))


def test_no_pairs_and_no_threshold_are_undefined():
    assert all(math.isnan(value) for value in metrics.pair_scores([], [], 0.5).values())
    assert math.isnan(metrics.best_threshold([], []))
    values = metrics.pair_scores([0, 1], [0.0, 1.0], float("nan"))
    assert {key for key, value in values.items() if math.isnan(value)} == {
        "accuracy",
        "balanced_accuracy",
        "f1",
        "precision",
        "recall",
    }


def test_impossible_pairs_are_refused():
    with pytest.raises(KcarsError, match="one of each per pair"):
        metrics.roc_auc([0, 1], [0.5])
    with pytest.raises(KcarsError, match="1 of 2 are nan or infinite"):
        metrics.roc_auc([0, 1], [0.5, np.inf])
    with pytest.raises(KcarsError, match="allowed are 1"):
        metrics.roc_auc([0, 2], [0.5, 0.6])
    with pytest.raises(KcarsError, match="expected pairs as the last axis"):
        metrics.roc_auc([0, 1], [0.5, 0.6], [[1.0], [2.0]])


def test_threshold_between_adjacent_floats_separates_them():
    lower = 1.0
    upper = np.nextafter(lower, 2)
    threshold = metrics.best_threshold([0, 1], [lower, upper])
    assert metrics.threshold_scores([0, 1], [lower, upper], threshold)["accuracy"] == 1.0


@settings(deadline=None, max_examples=150)
@given(pair_lists)
def test_curve_laws(pairs):
    same, scores = np.array(pairs).T
    auc, eer = metrics.roc_auc(same, scores), metrics.equal_error_rate(same, scores)
    assert 0 <= auc <= 1 and 0 <= eer <= 1
    assert metrics.roc_auc(same, -scores) == pytest.approx(1 - auc)
    assert metrics.roc_auc(1 - same, scores) == pytest.approx(1 - auc)
    assert metrics.equal_error_rate(1 - same, -scores) == pytest.approx(eer)
    assert metrics.equal_error_rate(same, -scores) == pytest.approx(1 - eer)
    assert metrics.roc_auc(same, np.exp(scores / 2)) == auc  # only the order counts
    differences = scores[same == 1][:, None] - scores[same == 0]
    assert auc == pytest.approx(np.mean((differences > 0) + (differences == 0) / 2))


@settings(deadline=None, max_examples=150)
@given(pair_lists, st.floats(-6, 6))
def test_no_threshold_is_better_than_the_best(pairs, other):
    same, scores = np.array(pairs).T
    best = metrics.threshold_scores(same, scores, metrics.best_threshold(same, scores))["balanced_accuracy"]
    rival = metrics.threshold_scores(same, scores, other)["balanced_accuracy"]
    inner = len(np.unique(scores)) > 1 and scores.min() < other <= scores.max()
    assert best >= rival - 1e-12 or not inner
