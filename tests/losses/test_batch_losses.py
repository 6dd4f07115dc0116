"""Losses of a batch's pairs and triplets: against plain loops, and at angles one knows by heart."""

import math

import keras
import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.objectives.losses import build_loss

RANDOM = np.random.default_rng(5)
VECTORS = RANDOM.normal(size=(12, 8))
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
LABELS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4])  # The last photo is alone in its class.


def values(name, labels, vectors, **settings):
    return np.asarray(
        build_loss(name, of_batch=True, **settings).call(np.asarray(labels), np.asarray(vectors, "float32"))
    )


def at(*degrees):
    """Unit vectors in the plane."""
    return np.array([[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees])


def others(photo, same):
    return [o for o in range(len(LABELS)) if o != photo and (LABELS[o] == LABELS[photo]) == same]


def mean(numbers):
    return sum(numbers) / len(numbers) if numbers else 0.0


def loop_contrastive(photo, margin):
    distance = {o: float(np.linalg.norm(VECTORS[photo] - VECTORS[o])) for o in range(len(LABELS))}
    pull = mean([distance[o] ** 2 for o in others(photo, True)])
    return pull + mean([(margin - distance[o]) ** 2 for o in others(photo, False) if distance[o] < margin])


def loop_multi_similarity(photo, alpha, beta, base, mining):
    cosine = {o: float(VECTORS[photo] @ VECTORS[o]) for o in range(len(LABELS))}
    same, different = others(photo, True), others(photo, False)
    if same:
        kept = [o for o in different if cosine[o] > min(cosine[p] for p in same) - mining]
        pulled = [p for p in same if cosine[p] < max(cosine[o] for o in different) + mining]
    else:
        kept, pulled = [], []
    pull = math.log(1 + sum(math.exp(-alpha * (cosine[p] - base)) for p in pulled)) / alpha
    return pull + math.log(1 + sum(math.exp(beta * (cosine[o] - base)) for o in kept)) / beta


def loop_triplet(photo, margin):
    squared = {o: float(np.sum((VECTORS[photo] - VECTORS[o]) ** 2)) for o in range(len(LABELS))}
    found = []
    for same in others(photo, True):
        farther = [squared[o] for o in others(photo, False) if squared[o] > squared[same]]
        other = min(farther) if farther else max(squared[o] for o in others(photo, False))
        found.append(max(0.0, squared[same] - other + margin))
    return mean(found)


@pytest.mark.parametrize(
    ("name", "loop", "settings"),
    [
        ("contrastive", loop_contrastive, {"margin": 1.2}),
        ("multi_similarity", loop_multi_similarity, {"alpha": 2.0, "beta": 20.0, "base": 0.5, "mining": 0.1}),
        ("multi_similarity", loop_multi_similarity, {"alpha": 3.0, "beta": 9.0, "base": 0.2, "mining": 9.0}),
        ("triplet", loop_triplet, {"margin": 0.3}),
    ],
)
def test_each_equals_a_plain_loop(name, loop, settings):
    wanted = [loop(photo, **settings) for photo in range(len(LABELS))]
    assert values(name, LABELS, VECTORS, **settings) == pytest.approx(wanted, abs=1e-5)


def test_contrastive_at_known_angles():
    # 60 degrees are a distance of 1, 90 of the square root of 2, 180 of 2.
    found = values("contrastive", [0, 0, 1], at(0, 60, 180), margin=1.5)
    near = math.sqrt(3)  # Between 60 and 180 degrees: beyond the margin, as is 2.
    assert near > 1.5
    assert found == pytest.approx([1.0, 1.0, 0.0], abs=1e-5)


def test_multi_similarity_at_right_angles():
    # Every cosine is 0, the base: each of two terms is log 2 over its sharpness.
    found = values("multi_similarity", [0, 0, 1], np.eye(3), alpha=2.0, beta=4.0, base=0.0, mining=0.1)
    assert found[:2] == pytest.approx([math.log(2) / 2 + math.log(2) / 4] * 2, abs=1e-6)


def test_the_semi_hard_triplet_is_the_nearest_farther_one():
    # From 0 degrees: the same one at 60 (1 squared), others at 45, 90 (2 squared) and 180 (4 squared).
    found = values("triplet", [0, 0, 1, 1, 1], at(0, 60, 45, 90, 180), margin=1.5)
    assert found[0] == pytest.approx(1 - 2 + 1.5, abs=1e-5)
    nothing_farther = values("triplet", [0, 0, 1, 1], at(0, 180, 45, 90), margin=0.5)
    assert nothing_farther[0] == pytest.approx(4 - 2 + 0.5, abs=1e-5)


@pytest.mark.parametrize("name", ["contrastive", "multi_similarity", "triplet"])
@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_a_batch_of_one_kind_of_pair_costs_no_nan(name, labels):
    vectors = at(0, 30, 60, 0)  # The first and the last are one point, where roots have no gradient.
    variable = keras.Variable(vectors.astype("float32"))
    loss = build_loss(name, of_batch=True)
    import tensorflow as tf

    with tf.GradientTape() as tape:
        total = keras.ops.sum(loss.call(np.array(labels), variable))
    gradient = np.asarray(tape.gradient(total, variable.value))
    assert np.isfinite(float(total))
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", ["contrastive", "multi_similarity", "triplet"])
def test_classes_apart_cost_less_than_classes_mixed(name):
    apart, mixed = values(name, [0, 0, 1, 1], at(0, 5, 180, 185)), values(name, [0, 1, 0, 1], at(0, 5, 180, 185))
    assert apart.sum() < 0.2 * mixed.sum()


def test_each_comes_back_from_its_config_and_unknown_ones_are_told():
    for name, changed in (
        ("contrastive", {"margin": 0.7}),
        ("multi_similarity", {"beta": 9.0}),
        ("triplet", {"margin": 0.4}),
    ):
        loss = build_loss(name, of_batch=True, **changed)
        again = type(loss).from_config(loss.get_config())
        assert np.array_equal(again.call(LABELS, VECTORS), loss.call(LABELS, VECTORS))
        assert not np.array_equal(build_loss(name, of_batch=True).call(LABELS, VECTORS), loss.call(LABELS, VECTORS))
    with pytest.raises(KcarsError, match="arcface"):
        build_loss("arcface", of_batch=True)


def test_normalised_softmax_is_cross_entropy_of_scaled_cosines():
    cosines = np.array([[0.5, -0.2, 0.1], [0.0, 1.0, -1.0]], "float32")
    found = np.asarray(build_loss("normalised_softmax", scale=4.0).call(np.array([0, 2]), cosines))
    powers = np.exp(4 * cosines)
    assert found == pytest.approx(-np.log(powers[[0, 1], [0, 2]] / powers.sum(1)), abs=1e-5)
