"""Heads that begin fitted to the features of the initial backbone."""

import keras
import numpy as np
import pytest

from kcars.models.networks import classifier, embedder, features_of, head_of, margin_classifier
from kcars.tasks.classify_head import calibrated_head
from kcars.tasks.verify_begin import begin_embedding

CLASSES, DIMENSIONS = 6, 20
RANDOM = np.random.default_rng(0)
CENTRES = RANDOM.normal(size=(CLASSES, DIMENSIONS)) * 3 + 10
SCALES = RANDOM.uniform(0.5, 3, DIMENSIONS)


def sample(seed, photos=20):
    labels = np.repeat(np.arange(CLASSES), photos)
    noise = np.random.default_rng(seed).normal(size=(len(labels), DIMENSIONS))
    return (CENTRES[labels] + noise * SCALES).astype(np.float32), labels


@pytest.fixture
def backbone():
    keras.utils.set_random_seed(1)
    pixels = keras.Input((8, 8, 3), name="pixels")
    return keras.Model(pixels, keras.layers.Dense(DIMENSIONS)(keras.layers.Flatten()(pixels)), name="backbone")


def test_a_classifiers_head_is_calibrated():
    features, labels = sample(0)
    head = calibrated_head((features, labels), CLASSES, seed=0)
    other, wanted = sample(1)
    logits = head.logits(other)
    right = logits.argmax(1) == wanted
    shares = np.exp(logits - logits.max(1, keepdims=True))
    confidence = (shares / shares.sum(1, keepdims=True)).max(1)
    assert right.mean() > 0.8
    assert abs(confidence.mean() - right.mean()) < 0.1


def test_a_head_for_classes_of_three_photos_is_finite():
    features, labels = sample(0, photos=3)
    head = calibrated_head((features, labels), CLASSES, seed=0)
    assert np.isfinite(head.kernel).all()
    assert np.isfinite(head.bias).all()


@pytest.mark.parametrize("embedding", [4, 16])
def test_an_embedding_separates_the_classes_before_any_training(backbone, embedding):
    scored = embedder(backbone, embedding)
    trained = margin_classifier(scored, {"model": CLASSES})
    begin_embedding(scored, trained.get_layer("model"), *sample(0))
    features, labels = sample(1)
    vectors = np.asarray(head_of(scored)(features))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    cosines = np.asarray(trained.get_layer("model")(vectors))
    assert (cosines.argmax(1) == labels).mean() > 0.8
    assert np.isfinite(vectors).all()


def test_a_projection_separates_the_classes_and_leaves_the_embedding(backbone):
    scored = embedder(backbone, backbone.output_shape[-1], head="features")
    trained = margin_classifier(scored, {"model": CLASSES}, projection=16)
    features, labels = sample(0)
    begin_embedding(trained, trained.get_layer("model"), features, labels)
    vectors = trained.get_layer("unit_vectors")(trained.get_layer("projection")(trained.get_layer("neck")(features)))
    assert vectors.shape == (len(features), 16)
    assert (np.asarray(trained.get_layer("model")(vectors)).argmax(1) == labels).mean() > 0.8
    assert not scored.get_layer("unit_vectors").weights and scored.output_shape[-1] == features.shape[1]


def test_features_and_head_make_the_network(backbone):
    network = classifier(backbone, {"model": CLASSES}, square_root=True)
    pixels = RANDOM.integers(0, 256, (3, 8, 8, 3)).astype("float32")
    features = features_of(network)(pixels)
    assert np.allclose(features, backbone(pixels))
    assert np.allclose(head_of(network)(features)["model"], network(pixels)["model"], atol=1e-4)
    assert np.allclose(head_of(features_of(network))(features), features)
