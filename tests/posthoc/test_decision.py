"""A threshold is a distance; files hold it with a minus sign."""

import numpy as np
import pytest

from kcars.posthoc.decision import PairDecision, threshold_record

DISTANCE, SAME = np.array([0.1, 0.2, 0.9, 1.0]), np.array([1, 1, 0, 0])


def test_pairs_within_the_threshold_are_the_same():
    decision = PairDecision.fit(SAME, DISTANCE)
    assert 0.2 <= decision.threshold < 0.9
    assert decision.same(DISTANCE).tolist() == [True, True, False, False]
    assert decision.same(decision.threshold), "the threshold itself is within"


def test_files_hold_minus_the_distance():
    decision = PairDecision(0.7, 3.0, 0.5)
    assert decision.record() == {"threshold": -0.7, "scale": 3.0, "offset": 0.5}
    assert PairDecision.of(decision.record()) == decision
    assert PairDecision.of(threshold_record(0.7)).threshold == 0.7


def test_confidence_is_that_of_the_side_that_the_threshold_decides():
    decision = PairDecision(0.5, 4.0, 0.5)
    assert decision.probability([0.5]) == pytest.approx(0.5)
    assert decision.confidence(np.array([0.25, 0.75])) == pytest.approx([1 / (1 + np.exp(-1))] * 2)
    shifted = PairDecision(0.1, 4.0, 0.5)  # Decides otherwise than the sigmoid would.
    assert shifted.confidence(np.array([0.25]))[0] < 0.5


def test_losses_are_those_of_the_probabilities():
    decision = PairDecision(0.5, 4.0, 0.5)
    probability = decision.probability(DISTANCE)
    wanted = -np.log(np.where(SAME, probability, 1 - probability))
    assert decision.losses(SAME, DISTANCE) == pytest.approx(wanted)


def test_what_is_undefined_calls_nothing_the_same():
    decision = PairDecision.of({"threshold": None})
    assert np.isnan([decision.threshold, decision.scale, decision.offset]).all()
    assert not decision.same(DISTANCE).any()
    assert np.isnan(PairDecision.fit(np.ones(4, int), DISTANCE).scale)
