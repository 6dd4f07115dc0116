"""Baselines on photos known by heart, and class similarity against scikit-learn's nearest neighbour."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from kcars.core.errors import KcarsError
from kcars.metrics import baselines
from kcars.metrics.baselines import BASELINES, class_similarity, colour_histogram, raw_pixels


def plain_photo(red, green, blue, height=40, width=50):
    return np.full((height, width, 3), (red, green, blue), np.uint8)


def noise(photos, height=33, width=47, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (photos, height, width, 3), dtype=np.uint8)


def test_histogram_of_two_colours():
    photo = plain_photo(255, 0, 0)
    photo[:10] = (0, 32, 255)  # a quarter of the rows
    expected = np.zeros(512)
    expected[7 * 64] = np.sqrt(0.75)
    expected[0 * 64 + 1 * 8 + 7] = 0.5
    np.testing.assert_allclose(colour_histogram(photo[None])[0], expected, rtol=1e-6)


def test_histogram_agrees_with_numpy():
    photos = noise(3)
    for photo, feature in zip(photos, colour_histogram(photos), strict=True):
        counts, _ = np.histogramdd(photo.reshape(-1, 3), bins=8, range=[(0, 256)] * 3)
        np.testing.assert_allclose(feature**2, counts.ravel() / counts.sum(), rtol=1e-5)


def test_raw_pixels_of_a_step_edge():
    photo = plain_photo(0, 0, 0, 64, 64)
    photo[:, 32:] = 200
    feature = raw_pixels(photo[None])[0].reshape(32, 32, 3)
    np.testing.assert_allclose(feature[:, 16:], 3072**-0.5, rtol=1e-6)
    np.testing.assert_allclose(feature[:, :16], -(3072**-0.5), rtol=1e-6)


def test_raw_pixels_of_a_flat_photo_are_zero():
    assert not raw_pixels(plain_photo(90, 90, 90)[None]).any()


@pytest.mark.parametrize("name, columns", [("colour histogram", 512), ("raw pixels", 3072)])
def test_features_have_unit_length_and_keep_row_order(name, columns):
    photos = noise(4)
    features = BASELINES[name](photos)
    assert features.shape == (4, columns) and features.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(features[::-1], BASELINES[name](photos[::-1]))
    assert BASELINES[name](photos[:0]).shape == (0, columns)
    with pytest.raises(KcarsError, match="expected uint8"):
        BASELINES[name](photos.astype(np.float32))


def test_best_class_is_scikit_learns_nearest_neighbour(monkeypatch):
    monkeypatch.setattr(baselines, "CHUNK_QUERIES", 7)
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(91, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    gallery, queries, labels = vectors[:60], vectors[60:], generator.integers(0, 6, 60)
    expected = KNeighborsClassifier(1).fit(gallery, labels).predict(queries)
    np.testing.assert_array_equal(class_similarity(gallery, labels, queries, 6).argmax(axis=1), expected)


def test_each_class_scores_its_most_similar_row():
    gallery = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]])
    scores = class_similarity(gallery, [3, 0, 3, 1], [[0.0, 1.0], [1.0, 0.0]], classes=4)
    np.testing.assert_allclose(scores, [[1, 0, -2, 0.8], [0, -1, -2, 1]], rtol=1e-6)


def test_empty_queries_and_empty_gallery():
    assert class_similarity(np.ones((1, 2)), [3], np.zeros((0, 2)), 4).shape == (0, 4)
    with pytest.raises(KcarsError, match="gallery"):
        class_similarity(np.zeros((0, 2)), [], np.zeros((1, 2)), 4)
