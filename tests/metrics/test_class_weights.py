"""Weights, frequencies and margins of counts one can reckon in one's head."""

import numpy as np
import pytest

from kcars.metrics.class_weights import effective_number, inverse_frequency, log_frequencies, rare_margins

PHOTOS = np.array([1, 16, 81])


def test_inverse_frequency_gives_every_class_the_same_say():
    weights = inverse_frequency(PHOTOS)
    assert (weights * PHOTOS).sum() == pytest.approx(PHOTOS.sum())  # Mean 1 over the photos.
    assert weights * PHOTOS == pytest.approx(98 / 3)


def test_effective_number_lies_between_equal_weights_and_inverse_frequency():
    assert effective_number(PHOTOS, 0.0) == pytest.approx([1, 1, 1])
    assert effective_number(PHOTOS, 1 - 1e-9) == pytest.approx(inverse_frequency(PHOTOS), rel=1e-4)
    half = effective_number(np.array([1, 2]), 0.5)  # Effective numbers 1 and 1 + 1/2.
    assert half[0] / half[1] == pytest.approx(1.5)
    assert half[0] + 2 * half[1] == pytest.approx(3)


def test_frequencies_and_margins_at_whole_powers():
    assert np.exp(log_frequencies(PHOTOS)) == pytest.approx(PHOTOS / 98)
    assert rare_margins(PHOTOS, 0.6) == pytest.approx([0.6, 0.3, 0.2])


def test_a_class_without_photos_leaves_all_finite_and_the_mean_at_one():
    photos = np.array([0, 2, 8])
    for weights in (inverse_frequency(photos), effective_number(photos, 0.99)):
        assert np.isfinite(weights).all() and (weights > 0).all()
        assert (weights * photos).sum() == pytest.approx(10)
    assert np.isfinite(log_frequencies(photos)).all() and np.isfinite(rare_margins(photos, 0.5)).all()
