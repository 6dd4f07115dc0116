"""How far a name is, at distances one knows by heart; and what a photo is called."""

import math

import numpy as np
import pytest
from support.colours import DECISION, colour_model

from kcars.core.errors import KcarsError
from kcars.gallery.names import Names
from kcars.gallery.naming import name_each
from kcars.gallery.photos import Kept
from kcars.gallery.store import Gallery, write
from kcars.gallery.vector_index import VectorIndex
from kcars.inference.predictions import Answers
from kcars.metrics.calibration import same_probability


def on_a_line(*places):
    return np.array([[place, 0.0, 0.0] for place in places], np.float32)


def test_a_name_of_one_photo_is_as_far_as_that_photo():
    names = Names(["b", "a"], on_a_line(3, 10), scale=0.7)
    assert names.names.tolist() == ["a", "b"]
    np.testing.assert_allclose(names.distances(np.zeros((1, 3))), [[10, 3]])


def test_a_names_distance_is_the_mean_of_that_of_its_mean_odds_and_that_of_its_mean():
    decision = {"scale": 0.5, "offset": 4.0}
    names = Names(["x", "y", "x", "x"], on_a_line(1, 2, 5, 9), scale=0.5)
    (found,) = names.distances(np.zeros((1, 3)))
    probability = same_probability(np.array([1.0, 5, 9]), decision)
    odds = np.mean(probability / (1 - probability))
    of_the_odds = decision["offset"] - np.log(odds) / decision["scale"]
    variance = (16 + 0 + 16) / 2
    assert names.variance == pytest.approx(variance)
    assert found[0] == pytest.approx((of_the_odds + np.sqrt(5**2 + variance * (1 - 1 / 3))) / 2)
    assert found[1] == pytest.approx(2)


def test_photos_of_one_name_are_as_far_from_it_whatever_its_number_of_photos():
    """On the scale of pairs: the square of the distance from a mean of n vectors is corrected by what averaging takes away."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(40, 30)) * 5
    for photos in (1, 4, 16):
        named = np.repeat([f"{name:02}" for name in range(40)], photos)
        vectors = np.repeat(centres, photos, axis=0) + random.normal(size=(40 * photos, 30))
        own = Names(named, vectors, 2.0).distances(centres + random.normal(size=(40, 30))).diagonal()
        assert np.mean(own) == pytest.approx(60**0.5, abs=0.4)


def test_the_ends_of_the_scale_neither_over_nor_underflow():
    random = np.random.default_rng(0)
    vectors, labels = random.normal(size=(60, 5)), [f"{number % 7}" for number in range(60)]
    query = random.normal(size=(1, 5))
    away = np.linalg.norm(vectors - query, axis=1)
    own = [away[[label == name for label in labels]] for name in sorted(set(labels))]
    means = np.array([vectors[[label == name for label in labels]].mean(0) for name in sorted(set(labels))])
    near = Names(labels, vectors, 1.0)
    of_means = np.sqrt(((means - query) ** 2).sum(1) + near.variance * (1 - 1 / near.photos))
    for scale, ends in ((1e-6, [part.mean() for part in own]), (1e6, [part.min() for part in own])):
        (found,) = Names(labels, vectors, scale).distances(query)
        np.testing.assert_allclose(2 * found - of_means, ends, rtol=1e-4)


def test_chunks_change_nothing(monkeypatch):
    random = np.random.default_rng(0)
    vectors, labels, query = random.normal(size=(50, 3)), list("abcde" * 10), np.zeros((2, 3))
    whole = Names(labels, vectors, 1.0).distances(query)
    monkeypatch.setattr("kcars.gallery.names.CHUNK", 7)
    np.testing.assert_allclose(Names(labels, vectors, 1.0).distances(query), whole, rtol=1e-12)


def test_beyond_the_threshold_is_unknown():
    answers = Answers(colour_model().card)
    near = answers.nearest_name("p", ["a", "b", "c"], np.array([60.0, 49.9, 70]), 2, 50)
    assert near.answer == "b" and [name for name, _ in near.names] == ["b", "a"]
    assert near.probability == pytest.approx(1 / (1 + math.exp(DECISION["scale"] * (49.9 - DECISION["offset"]))))
    assert answers.nearest_name("p", ["a", "b"], np.array([60.0, 50.1]), 2, 50).answer == "unknown"


def test_at_a_risk_it_must_be_surer():
    card = colour_model().card
    curve = {"least": [0.9, 0.5], "coverage": [0.5, 1.0], "risk": [0.01, 0.3]}
    answers = Answers(card | {"decision": DECISION | {"answered": curve}}, risk=0.1)
    assert answers.nearest_name("p", ["a"], np.array([10.0]), 1, 50).answer == "a"  # 95 %
    assert answers.nearest_name("p", ["a"], np.array([30.0]), 1, 50).answer == "unknown"  # 73 %


@pytest.fixture
def gallery(tmp_path, colour_verifier):
    photos = [Kept("/1", "1", "", "red"), Kept("/2", "2"), Kept("/3", "3", "", "green")]
    vectors = np.array([[200, 0, 0], [0, 0, 200], [0, 200, 0]], np.float32)
    write(tmp_path / "index", colour_verifier.card, photos, VectorIndex.build(vectors))
    return Gallery.open(tmp_path / "index")


def test_photos_are_named_by_what_was_enrolled_and_bad_ones_give_their_error(gallery, colour_verifier):
    photos = [np.full((9, 9, 3), colour, np.uint8) for colour in ((190, 10, 0), (0, 0, 200), (0, 220, 0))]
    red, blue, bad, green = name_each(colour_verifier, gallery, [*photos[:2], b"no photo", photos[2]])
    assert (red.answer, green.answer) == ("red", "green")
    assert blue.answer == "unknown"  # The blue photo of the gallery has no name.
    assert isinstance(bad[1], KcarsError)


def test_another_model_names_nothing(gallery):
    with pytest.raises(KcarsError, match="is not the model that built"):
        next(name_each(colour_model("other"), gallery, []))


def test_without_names_or_probabilities_there_is_nothing_to_name_by(gallery):
    untold = colour_model()
    untold.card["decision"] = DECISION | {"scale": None}
    with pytest.raises(KcarsError, match="has no pair probabilities"):
        next(name_each(untold, gallery, []))
    gallery.photos = [Kept("/1", "1")] * 3
    with pytest.raises(KcarsError, match="kcars index enroll"):
        next(name_each(colour_model(), gallery, []))


def test_a_gallery_that_has_chosen_a_threshold_goes_by_it(gallery, colour_verifier):
    reddish = [np.full((9, 9, 3), (190, 10, 0), np.uint8)]
    gallery.facts["open_set"] = {"threshold": -10.0}
    assert next(name_each(colour_verifier, gallery, reddish)).answer == "unknown"  # 14 away.
    gallery.facts["open_set"] = {"threshold": -15.0}
    assert next(name_each(colour_verifier, gallery, reddish)).answer == "red"
