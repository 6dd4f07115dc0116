"""Maps as colours, text and words."""

import io

import numpy as np
import pytest
from PIL import Image

from kcars.images.heat import COLOURS, as_text, coloured, from_text, heat_png, overlaid, relative, resized, strongest

CORNER = np.array([[0.0, 0.0, 4.0], [0.0, -8.0, 0.0], [0.0, 0.0, 0.0]])


def test_the_hottest_place_is_1_and_nothing_is_hot_where_all_speaks_against():
    assert relative(CORNER).max() == 1.0 and relative(CORNER)[1, 1] == -2.0
    assert not relative(-np.ones((2, 2))).any()


def test_heat_keeps_its_place_when_it_is_spread_over_a_photo():
    spread = resized(CORNER, 90, 120)
    assert spread.shape == (90, 120)
    row, column = np.unravel_index(spread.argmax(), spread.shape)
    assert row < 30 and column >= 80 and spread[45, 60] < 0


def test_one_sees_through_where_no_heat_is():
    cold, hot, against = coloured(np.array([0.0, 1.0, -3.0]))
    assert cold[3] == against[3] == 0 < hot[3] < 255
    assert np.array_equal(hot[:3], COLOURS[-1].astype(np.uint8))
    lightness = coloured(np.linspace(0, 1, 20))[:, :3] @ (0.299, 0.587, 0.114)
    assert (np.diff(lightness) > 0).all()


def test_a_photo_is_grey_but_for_its_heat():
    photo = np.full((60, 90, 3), (200, 30, 30), np.uint8)
    found = overlaid(photo, CORNER)
    assert len(np.unique(found[-1, 0])) == 1 and len(np.unique(found[0, -1])) == 3
    assert np.array_equal(overlaid(photo, -np.ones((2, 2))), np.full_like(photo, found[-1, 0, 0]))


def test_a_map_is_a_small_picture_that_is_hot_in_its_place():
    picture = np.asarray(Image.open(io.BytesIO(heat_png(CORNER))))
    assert picture.shape == (28, 28, 4) and picture[0, -1, 3] > 150 and not picture[-10:, :10, 3].any()


@pytest.mark.parametrize(
    ("place", "words"), [((0, 2), "upper right"), ((1, 1), "centre"), ((2, 1), "lower centre"), ((1, 0), "middle left")]
)
def test_the_hottest_place_is_told_in_words(place, words):
    heat = np.zeros((3, 3))
    heat[place] = 1
    assert strongest(heat) == words
    assert strongest(-heat) == ""


def test_a_single_place_is_all_of_the_photo_and_its_middle_the_centre():
    assert strongest(np.ones((1, 1))) == "centre"
    assert strongest(np.array([[0.0, 1.0]])) == "middle right"


def test_text_gives_the_map_back():
    assert as_text(CORNER) == "0.00 0.00 1.00;0.00 -2.00 0.00;0.00 0.00 0.00"
    assert np.array_equal(from_text(as_text(CORNER)), relative(CORNER))
    for damaged in ("0.1 0.2;0.3", "a b", ""):
        with pytest.raises(ValueError):
            from_text(damaged)
