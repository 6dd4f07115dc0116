"""Photos that grow: which epoch has which size, and what the stream then gives."""

import numpy as np
import pytest

from kcars.images.pixels import resized
from kcars.input.progressive_resizing import changes, sizes_by_epoch, sizes_by_step, work_share
from kcars.settings import DataSettings


def data(**settings):
    return DataSettings(size_px=96, **settings)


def test_sizes_rise_in_equal_parts_and_end_at_the_size_that_is_scored():
    assert sizes_by_epoch(data(), 3) == [96, 96, 96]
    assert sizes_by_epoch(data(first_px=64, growth=0.6), 10) == [64, 64, 64, 80, 80, 80, 96, 96, 96, 96]
    assert sizes_by_epoch(data(first_px=48, growth=0.5), 2) == [48, 96]
    assert sizes_by_epoch(data(first_px=64), 1) == [96]
    assert sizes_by_epoch(data(first_px=64, growth=0.9), 3) == [64, 80, 96]
    assert changes([64, 64, 80, 96]) == [2, 3]
    assert sizes_by_step([64, 64, 80, 96], 5) == ((0, 64), (10, 80), (15, 96))


@pytest.mark.parametrize("epochs", range(1, 30))
def test_the_last_of_several_epochs_has_the_full_size(epochs):
    sizes = sizes_by_epoch(data(first_px=32, growth=0.6), epochs)
    assert len(sizes) == epochs
    assert sizes == sorted(sizes)
    assert sizes[-1] == 96


def test_work_goes_with_the_area():
    assert work_share([96, 96]) == 1
    assert work_share([48, 96]) == pytest.approx((0.25 + 1) / 2)


def test_a_smaller_photo_is_the_mean_of_its_pixels():
    photos = np.zeros((2, 4, 4, 3), np.uint8)
    photos[:, ::2] = 100
    assert (resized(photos, 2) == 50).all()
    assert resized(photos, 4) is photos
