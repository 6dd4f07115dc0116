import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from kcars.metrics import calibration

RANDOM = np.random.default_rng(5)


def labelled(logits):
    """A label of each row, drawn by its own probabilities."""
    probability = calibration.probabilities(logits)
    return np.array([RANDOM.choice(len(row), p=row) for row in probability])


def test_a_temperature_finds_by_how_much_logits_are_too_sure():
    logits = RANDOM.normal(size=(4000, 6)) * 2
    labels = labelled(logits)
    assert calibration.fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.06)
    assert calibration.fit_temperature(logits / 2, labels) == pytest.approx(0.5, rel=0.06)
    assert calibration.fit_temperature(logits[:0], labels[:0]) == 1


def test_no_other_temperature_makes_the_labels_likelier():
    logits, labels = RANDOM.normal(size=(300, 4)), RANDOM.integers(0, 4, 300)
    best = calibration.fit_temperature(logits, labels)
    losses = [calibration.photo_losses(logits, labels, t).mean() for t in (best, best * 0.9, best * 1.1)]
    assert losses[0] == min(losses)


def test_losses_are_those_of_the_probabilities():
    logits, labels = RANDOM.normal(size=(20, 5)), RANDOM.integers(0, 5, 20)
    probability = calibration.probabilities(logits, 2.0)
    assert np.allclose(probability.sum(1), 1)
    assert np.allclose(calibration.photo_losses(logits, labels, 2.0), -np.log(probability[np.arange(20), labels]))


def test_pairs_are_fitted_as_a_logistic_regression_does():
    same = RANDOM.integers(0, 2, 3000)
    distance = RANDOM.normal(1.2 - 0.4 * same, 0.3)
    fitted = calibration.fit_pairs(same, distance)
    rival = LogisticRegression(C=1e9, class_weight="balanced").fit(distance[:, None], same)
    assert fitted["scale"] == pytest.approx(-rival.coef_[0, 0], rel=0.02)
    assert calibration.same_probability(distance, fitted) == pytest.approx(
        rival.predict_proba(distance[:, None])[:, 1], abs=5e-3
    )


def test_kinds_that_never_overlap_give_a_finite_slope_and_one_kind_none():
    fitted = calibration.fit_pairs([1] * 30 + [0] * 30, np.r_[np.linspace(0.1, 0.3, 30), np.linspace(0.9, 1.1, 30)])
    assert 0 < fitted["scale"] < 1000
    assert calibration.same_probability([0.2, 1.0], fitted) == pytest.approx([1, 0], abs=0.1)
    assert np.isnan(calibration.fit_pairs([1, 1], [0.1, 0.2])["scale"])


def test_pairs_that_are_nearer_the_more_different_they_are_get_no_falling_probability():
    fitted = calibration.fit_pairs([1, 0] * 50, [1.0, 0.5] * 50)
    assert fitted["scale"] > 0


def test_pair_losses_are_those_of_the_probabilities():
    same, distance, fitted = np.array([1, 0, 1]), np.array([0.2, 0.7, 1.4]), {"scale": 3.0, "offset": 0.8}
    probability = calibration.same_probability(distance, fitted)
    assert calibration.pair_losses(same, distance, fitted) == pytest.approx(
        -np.log(np.where(same, probability, 1 - probability))
    )


def test_the_calibration_error_is_that_of_a_plain_loop():
    confidence, right = RANDOM.random(101), RANDOM.integers(0, 2, 101)
    order = np.argsort(confidence)
    expected = (
        sum(abs(confidence[part].mean() - right[part].mean()) * len(part) for part in np.array_split(order, 15)) / 101
    )
    error = calibration.CalibrationError(confidence, right)
    assert error() == pytest.approx(expected)
    weights = RANDOM.integers(0, 3, (4, 101)).astype(float)
    repeated = [np.repeat(np.arange(101), row.astype(int)) for row in weights]
    place = {photo: number for number, part in enumerate(np.array_split(order, 15)) for photo in part}
    for value, photos in zip(error(weights), repeated, strict=True):
        bins = [[photo for photo in photos if place[photo] == number] for number in range(15)]
        plain = sum(abs(sum(confidence[p] - right[p] for p in part)) for part in bins) / len(photos)
        assert value == pytest.approx(plain)


def test_answers_that_are_as_right_as_they_are_sure_have_a_small_error_and_boasts_a_large_one():
    confidence = RANDOM.uniform(0.2, 1, 20000)
    right = RANDOM.random(20000) < confidence
    assert calibration.CalibrationError(confidence, right)() < 0.02
    assert calibration.CalibrationError(confidence**0.2, right)() > 0.1
    table = calibration.reliability(confidence, right)
    assert np.abs(table["confidence"] - table["right"]).max() < 0.05
    assert table["answers"].sum() == 20000


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=300), st.floats(0.01, 0.99))
def test_answers_above_the_least_confidence_err_no_more_than_allowed(answers, risk):
    confidence, right = np.array([a for a, _ in answers], float), np.array([b for _, b in answers], bool)
    curve = calibration.risk_coverage(confidence, right, 1)
    least = calibration.confidence_threshold(curve, risk)
    given = confidence >= least
    assert (~right[given]).sum() + 1 <= risk * (given.sum() + 1) + 1e-9 or not given.any()
    assert len(curve["least"]) <= calibration.POINTS
    assert curve["coverage"] == sorted(curve["coverage"])


def test_equal_confidences_are_answered_together():
    curve = calibration.risk_coverage(np.array([0.9, 0.5, 0.5, 0.5]), np.array([1, 1, 0, 1]))
    assert curve["least"] == [0.9, 0.5]
    assert curve["coverage"] == [0.25, 1]
    assert curve["risk"] == pytest.approx([0, 1 / 4])
    cautious = calibration.risk_coverage(np.array([0.9, 0.5, 0.5, 0.5]), np.array([1, 1, 0, 1]), more=1)
    assert cautious["risk"] == pytest.approx([1 / 2, 2 / 5])
