"""The threshold that a gallery chooses: by photos left out in turn, at places one knows by heart."""

import numpy as np
import pytest

from kcars.gallery import open_set
from kcars.gallery.names import Names


def on_a_line(places) -> np.ndarray:
    return np.array([[place, 0.0] for place in places], np.float32)


def named(count, photos, apart=10.0):
    """Names 0, 1, 2, ... at multiples of `apart`, each with photos a unit from one another."""
    pairs = [(f"{name:03}", apart * name + place) for name in range(count) for place in range(photos)]
    names, places = zip(*pairs, strict=True)
    return Names(names, on_a_line(places), scale=50.0)  # So steep that only the nearest photo has odds.


def test_a_photo_left_out_is_told_by_its_name_and_with_its_name_left_out_by_the_next():
    ((known, unknown),) = named(3, 2).left_out(np.array([0, 1, 4]))
    np.testing.assert_allclose(known, [1, 1, 1], atol=0.05)
    nearest, mean, variance = np.array([10, 9, 9]), np.array([10.5, 9.5, 9.5]), 0.5
    np.testing.assert_allclose(unknown, (nearest + np.sqrt(mean**2 + variance / 2)) / 2, atol=0.05)


def test_left_out_agrees_with_a_gallery_without_the_photo_or_the_name():
    random = np.random.default_rng(0)
    vectors, labels = random.normal(size=(40, 3)), sorted(f"{row % 6}" for row in range(40))
    names = Names(labels, vectors, scale=1.3)
    ((known, unknown),) = names.left_out(np.arange(40))
    for row, label in enumerate(labels):
        others = [other for other in range(40) if other != row]
        strangers = [other for other in range(40) if labels[other] != label]
        for found, kept in ((known, others), (unknown, strangers)):
            without = Names([labels[other] for other in kept], vectors[kept], 1.3, names.variance)
            assert found[row] == pytest.approx(without.distances(vectors[row : row + 1]).min())


def test_blocks_and_chunks_change_nothing(monkeypatch):
    names = named(25, 3)
    whole = np.concatenate([np.stack(each) for each in names.left_out(np.arange(75))], axis=1)
    monkeypatch.setattr("kcars.gallery.names.BLOCK_DISTANCES", 200)
    monkeypatch.setattr("kcars.gallery.names.CHUNK", 7)
    parts = list(names.left_out(np.arange(75)))
    assert len(parts) == 38
    np.testing.assert_allclose(np.concatenate([np.stack(each) for each in parts], axis=1), whole)


def test_names_that_stand_apart_are_parted_wholly():
    found = open_set.chosen(named(30, 4))
    assert 1 <= -found["threshold"] < 7 and (found["accepted"], found["refused"]) == (1.0, 1.0)
    assert found["photos"] == 120
    assert found == open_set.chosen(named(30, 4))


def test_names_that_lie_closer_ask_for_more():
    wide, close = (-open_set.chosen(named(30, 3, apart))["threshold"] for apart in (10.0, 2.5))
    assert close <= wide


def test_no_more_photos_are_left_out_than_told(monkeypatch):
    monkeypatch.setattr(open_set, "MOST_PHOTOS", 50)
    assert open_set.chosen(named(30, 8))["photos"] == 50


@pytest.mark.parametrize(("count", "photos"), [(4, 5), (100, 1)])
def test_few_names_or_single_photos_choose_nothing(count, photos):
    assert open_set.chosen(named(count, photos)) is None


def test_without_names_or_a_scale_there_are_no_names_to_choose_by():
    assert Names.of(["", ""], None, 1.0) is None
    assert Names.of(["a", "b"], None, None) is None
