import numpy as np
import pytest

from kcars.metrics import scores as metrics
from kcars.metrics.curves import BINS, FALSE_POSITIVE_RATES, distances, roc


def at(curve, rate):
    return curve[round(rate * 100)]


def test_pairs_told_apart_make_a_curve_at_the_top():
    assert roc([1, 1, 0, 0], [4.0, 3.0, 2.0, 1.0]).tolist() == [1.0] * 101


def test_equal_scores_make_the_diagonal():
    assert roc([1, 0, 1, 0], [5.0] * 4) == pytest.approx(FALSE_POSITIVE_RATES)


def test_pairs_told_the_wrong_way_round_reach_the_top_at_the_end_only():
    assert roc([0, 0, 1], [3.0, 2.0, 1.0]).tolist() == [0.0] * 100 + [1.0]


def test_at_a_rate_where_the_curve_climbs_its_top_counts():
    curve = roc([1, 0, 1, 0], [4.0, 3.0, 2.0, 1.0])  # Through (0, 0.5), (0.5, 0.5), (0.5, 1) and (1, 1).
    assert [at(curve, rate) for rate in (0, 0.49, 0.5, 1)] == [0.5, 0.5, 1, 1]


def test_lines_join_the_points():
    curve = roc([1, 1, 0, 0], [2.0, 1.0, 1.0, 1.0])  # Through (0, 0.5) and (1, 1).
    assert at(curve, 0.5) == pytest.approx(0.75)


def test_its_area_is_the_auc_and_it_never_falls():
    draw = np.random.default_rng(0)
    same = draw.random(4000) < 0.3
    scores = draw.normal(same * 1.0, 1).round(2)
    curve = roc(same, scores)
    assert np.trapezoid(curve, FALSE_POSITIVE_RATES) == pytest.approx(metrics.roc_auc(same, scores), abs=2e-3)
    assert (np.diff(curve) >= 0).all()


def test_unit_vectors_at_0_60_and_180_degrees():
    same, distance = np.array([1, 1, 0, 0]), np.array([0.0, 1.0, 1.0, 2.0 + 1e-9])
    left, right, alike, different = distances(same, distance, longest=2.0)
    middle = BINS // 2  # A bin holds its left edge: 1 begins the upper half.
    assert (left[0], left[middle], right[-1]) == (0, 1, 2)
    assert np.flatnonzero(alike).tolist() == [0, middle]
    assert np.flatnonzero(different).tolist() == [middle, BINS - 1]


def test_without_a_bound_the_largest_distance_ends_the_bins():
    left, right, alike, different = distances(np.array([1, 0]), np.array([3.0, 12.0]))
    assert (left[0], right[-1]) == (0, 12)
    assert (alike.sum(), different.sum(), different[-1]) == (1, 1, 1)


def test_a_collapsed_embedding_has_a_histogram_too():
    histogram = distances(np.array([1, 0]), np.zeros(2))
    assert histogram[2:, 0].tolist() == [1, 1]
    assert np.isfinite(histogram).all()
