"""Deletion curves whose area one knows by heart."""

import numpy as np
import pytest

from kcars.inference.deletion import REPLACED, STEPS, centre, deletion_areas, without_hottest

SIZE = 16
WHITE, BLACK = np.full((SIZE, SIZE, 3), 255, np.uint8), np.zeros((SIZE, SIZE, 3), np.uint8)
NO_TIES = np.zeros((1, 1))
LEFT_HALF = np.repeat([[1.0, 0.9, 0.1, 0.0]], 4, 0)


def left_is_white(photos):
    """The share of the left half that is still white."""
    return photos[:, :, : SIZE // 2].mean((1, 2, 3)) / 255


def test_as_many_pixels_are_gone_at_each_step_the_hottest_first():
    photos = without_hottest(WHITE, LEFT_HALF, NO_TIES, BLACK, 4)
    gone = (photos == 0).all(-1)
    assert gone.sum((1, 2)).tolist() == [0, 64, 128, 192, 256]
    assert gone[2, :, : SIZE // 2].all() and not gone[2, :, SIZE // 2 :].any()


def test_the_area_is_small_where_what_counts_goes_first_and_large_where_it_goes_last():
    found = deletion_areas(WHITE, {"first": LEFT_HALF, "last": -LEFT_HALF}, NO_TIES, BLACK, left_is_white)
    assert found == {"first": pytest.approx(0.25, abs=1e-6), "last": pytest.approx(0.75, abs=1e-6)}


def test_places_of_equal_heat_go_in_the_order_of_the_ties():
    flat = np.zeros((4, 4))
    first = without_hottest(WHITE, flat, LEFT_HALF, BLACK)
    assert np.array_equal(first, without_hottest(WHITE, LEFT_HALF, flat, BLACK))
    assert len(first) == STEPS + 1


@pytest.mark.parametrize("name", REPLACED)
def test_what_stands_in_their_place_has_the_photos_colours_and_not_its_lines(name):
    board = np.indices((SIZE, SIZE)).sum(0) % 2 * 200
    photo = np.stack([board, board, board], -1).astype(np.uint8)
    replaced = REPLACED[name](photo)
    assert replaced.shape == photo.shape and replaced.dtype == np.uint8
    assert replaced.mean() == pytest.approx(100, abs=2) and replaced.std() < 10


def test_the_middle_is_hottest_in_the_middle():
    heat = centre(4, 4)
    assert heat[1:3, 1:3].min() > heat[0].max() and np.array_equal(heat, heat[::-1, ::-1])
    assert heat[0, 1] > heat[0, 0]
