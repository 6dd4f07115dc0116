"""Losses against plain loops, at angles one knows by heart, and at the ends where gradients break."""

import math

import keras
import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.losses.arcface import with_margin
from kcars.losses.catalogue import LOSSES as ALL
from kcars.objectives.losses import build_loss

LOSSES = [name for name, loss in ALL.items() if loss.values]
GENERATOR = np.random.default_rng(0)
LOGITS = GENERATOR.normal(0, 3, (6, 4))
LABELS = np.array([0, 1, 2, 3, 0, 1])


def values(name, labels, outputs, **settings):
    return np.asarray(build_loss(name, **settings).call(np.asarray(labels), np.asarray(outputs, "float32")))


def softmax(row):
    powers = [math.exp(value) for value in row]
    return [power / sum(powers) for power in powers]


def loop_cross_entropy(row, label, smoothing=0.0):
    total = 0.0
    for number, probability in enumerate(softmax(row)):
        wanted = smoothing / len(row) + (1 - smoothing if number == label else 0)
        total -= wanted * math.log(probability)
    return total


def loop_focal(row, label, gamma, alpha):
    probability = softmax(row)[label]
    return -alpha * (1 - probability) ** gamma * math.log(probability)


def loop_sigmoid_focal(row, label, gamma, alpha):
    total = 0.0
    for number, logit in enumerate(row):
        positive = 1 / (1 + math.exp(-logit))
        right = positive if number == label else 1 - positive
        total -= alpha * (1 - right) ** gamma * math.log(right)
    return total


def loop_arcface(row, label, scale, margin, smoothing):
    angle = math.acos(row[label])
    widened = math.cos(angle + margin) if angle < math.pi - margin else row[label] - margin * math.sin(margin)
    logits = [scale * (widened if number == label else cosine) for number, cosine in enumerate(row)]
    return loop_cross_entropy(logits, label, smoothing)


def looped(loop, rows, *settings):
    return [loop(row, label, *settings) for row, label in zip(rows, LABELS, strict=True)]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_equals_a_loop(smoothing):
    found = values("cross_entropy", LABELS, LOGITS, label_smoothing=smoothing)
    np.testing.assert_allclose(found, looped(loop_cross_entropy, LOGITS, smoothing), rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_shares_is_the_mean_of_its_classes(smoothing):
    """A photo that is three tenths of another costs seven tenths of its own label and three of the other's."""
    other = LABELS[::-1]
    rows = 0.7 * np.eye(4)[LABELS] + 0.3 * np.eye(4)[other]
    first, second = (
        np.array([loop_cross_entropy(row, label, smoothing) for row, label in zip(LOGITS, labels, strict=True)])
        for labels in (LABELS, other)
    )
    found = values("cross_entropy", rows, LOGITS, label_smoothing=smoothing)
    np.testing.assert_allclose(found, 0.7 * first + 0.3 * second, rtol=1e-5)
    loss = build_loss("cross_entropy", label_smoothing=smoothing)
    np.testing.assert_allclose(loss(rows, np.float32(LOGITS)), found.mean(), rtol=1e-5)


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 1.0), (0.5, 0.25), (0.0, 1.0)])
def test_focal_equals_a_loop(gamma, alpha):
    found = values("focal", LABELS, LOGITS, gamma=gamma, alpha=alpha)
    np.testing.assert_allclose(found, looped(loop_focal, LOGITS, gamma, alpha), rtol=1e-4)


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 1.0), (0.5, 0.25), (0.0, 1.0)])
def test_sigmoid_focal_equals_a_loop(gamma, alpha):
    found = values("sigmoid_focal", LABELS, LOGITS, gamma=gamma, alpha=alpha)
    np.testing.assert_allclose(found, looped(loop_sigmoid_focal, LOGITS, gamma, alpha), rtol=1e-4)


@pytest.mark.parametrize("margin", [0.0, 0.5, 1.5])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_arcface_equals_a_loop_with_acos(margin, smoothing):
    cosines = np.concatenate([GENERATOR.uniform(-0.99, 0.99, (4, 4)), [[0.5] * 4, [-0.98] * 4]])
    found = values("arcface", LABELS, cosines, scale=8.0, margin=margin, label_smoothing=smoothing)
    np.testing.assert_allclose(found, looped(loop_arcface, cosines, 8.0, margin, smoothing), rtol=1e-4, atol=1e-5)


def test_offsets_are_added_to_the_logits():
    offsets = [0.0, -1.0, 2.0, 0.5]
    found = values("cross_entropy", LABELS, LOGITS, label_smoothing=0.1, offsets=offsets)
    np.testing.assert_allclose(found, looped(loop_cross_entropy, LOGITS + np.array(offsets), 0.1), rtol=1e-5)


def test_logits_learned_with_offsets_are_those_of_equally_frequent_classes():
    """Where a photo tells nothing, p = frequency is the best answer: it leaves logits that are all alike."""
    frequency = np.array([0.7, 0.2, 0.1])
    loss = build_loss("cross_entropy", offsets=np.log(frequency).tolist())
    expected = -(frequency * np.log(frequency)).sum()
    told = np.asarray(loss.call(np.arange(3), np.zeros((3, 3), "float32")))
    np.testing.assert_allclose(frequency @ told, expected, rtol=1e-5)


def loop_ldam(row, label, scale, margins):
    logits = [scale * (cosine - margins[label] * (number == label)) for number, cosine in enumerate(row)]
    return loop_cross_entropy(logits, label)


def test_ldam_equals_a_loop():
    cosines, margins = GENERATOR.uniform(-1, 1, (6, 4)), [0.5, 0.25, 0.1, 0.0]
    found = values("ldam", LABELS, 8.0 * cosines, scale=8.0, margin=margins)
    np.testing.assert_allclose(found, looped(loop_ldam, cosines, 8.0, margins), rtol=1e-4)
    alike = values("ldam", LABELS, 8.0 * cosines, scale=8.0, margin=0.25)
    np.testing.assert_allclose(alike, looped(loop_ldam, cosines, 8.0, [0.25] * 4), rtol=1e-4)


def test_focal_of_a_coin():
    """Two equal logits: p = 1/2, so a quarter of ln 2."""
    np.testing.assert_allclose(values("focal", [0], [[1.0, 1.0]]), [math.log(2) / 4], rtol=1e-5)


def test_contrastive_at_known_angles():
    """Unit vectors 0, 60, 90 and 180 degrees apart are 0, 1, root 2 and 2 apart."""
    distances = [0.0, 1.0, 2**0.5, 2.0]
    np.testing.assert_allclose(values("contrastive", [1] * 4, distances), [0, 1, 2, 4], rtol=1e-6)
    np.testing.assert_allclose(values("contrastive", [0] * 4, distances), [1, 0, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(values("contrastive", [0] * 4, distances, margin=3), [9, 4, 2.5147, 1], rtol=1e-4)


def test_contrastive_takes_distances_as_a_column():
    assert values("contrastive", [[1], [0]], [[2.0], [0.5]]).tolist() == [4.0, 0.25]


def test_arcface_margin_at_known_angles():
    """A margin of 30 degrees: 0, 60, 90, 150 become 30, 90, 120, 180; 180 lies on the line beyond."""
    # Just this side of 150 degrees: rounding must not put it on the line.
    cosines = np.float32([1, 0.5, 0, -0.866, -1])
    expected = [3**0.5 / 2, 0, -0.5, -1, -1 - math.pi / 12]
    np.testing.assert_allclose(with_margin(cosines, math.pi / 6), expected, atol=5e-4)


@pytest.mark.parametrize("margin", [0.0, 0.3, 0.5, 1.0, math.pi / 2])
def test_arcface_falls_with_the_angle(margin):
    cosines = np.linspace(-1, 1, 2001).astype("float32")
    assert np.all(np.diff(with_margin(cosines, margin)) >= 0)


@pytest.mark.parametrize("margin", [-0.1, 1.6])
def test_arcface_refuses_other_margins(margin):
    with pytest.raises(KcarsError, match="pi / 2"):
        build_loss("arcface", margin=margin)


OF_PAIRS = ("contrastive", "binary_cross_entropy")
ENDS = {
    "cross_entropy": [[100.0, -100.0], [-100.0, 100.0]],
    "focal": [[100.0, -100.0], [-100.0, 100.0]],
    "sigmoid_focal": [[100.0, -100.0], [-100.0, 100.0]],
    "contrastive": [[0.0], [0.0]],
    "binary_cross_entropy": [[100.0], [-100.0]],
    "arcface": [[1.0, -1.0], [-1.0, 1.0]],
    "normalised_softmax": [[1.0, -1.0], [-1.0, 1.0]],
    "ldam": [[30.0, -30.0], [-30.0, 30.0]],
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_at_the_ends(name):
    """Outputs as trainable weights: one step of descent must leave them finite."""
    ends = np.float32(ENDS[name])
    model = keras.Sequential([keras.layers.Dense(ends.shape[1], use_bias=False, name="outputs")])
    model.build((None, 2))
    model.set_weights([ends])
    model.compile(keras.optimizers.SGD(1e-3), loss=build_loss(name))
    history = model.fit(np.eye(2), np.array([0, 0]), verbose=0, batch_size=2)
    assert np.isfinite(history.history["loss"]).all()
    assert np.isfinite(model.get_weights()[0]).all()


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_outputs_and_any_label_type(name):
    outputs = [0.5, 0.25] if name in OF_PAIRS else [[0.5, -0.25], [0.75, -0.5]]
    labels = np.array([1, 0])
    expected = values(name, labels, outputs)
    loss = build_loss(name)
    for kind in ("uint8", "float32", "int64"):
        found = loss.call(labels.astype(kind), keras.ops.cast(outputs, "bfloat16"))
        assert keras.backend.standardize_dtype(found.dtype) == "float32"
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(loss(labels, np.float32(outputs)), np.mean(expected), rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_survive_their_config(name):
    loss = build_loss(name)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss) and again.get_config() == loss.get_config()


def test_unknown_names_list_the_known():
    with pytest.raises(
        KcarsError,
        match="hinge.*cross_entropy, focal, sigmoid_focal, ldam, arcface, normalised_softmax, contrastive, binary_cross_entropy",
    ):
        build_loss("hinge")
    with pytest.raises(KcarsError, match="gama.*gamma, alpha"):
        build_loss("focal", gama=2)
    with pytest.raises(KcarsError, match="from 0 to 1"):
        build_loss("cross_entropy", label_smoothing=1.5)


SAME, LOGIT = np.array([1.0, 0.0, 1.0, 0.0], np.float32), np.array([2.0, -3.0, -1.0, 0.5], np.float32)


def by_pair(loss) -> np.ndarray:
    return np.asarray(loss.call(SAME, LOGIT))


def test_binary_cross_entropy_is_that_of_keras():
    for smoothing in (0.0, 0.2):
        oracle = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing, reduction="none")
        assert np.allclose(by_pair(build_loss("binary_cross_entropy", label_smoothing=smoothing)),
                           oracle(SAME[:, None], LOGIT[:, None]), atol=1e-6)  # fmt: skip
    assert np.allclose(by_pair(build_loss("binary_cross_entropy")), by_pair(build_loss("sigmoid_focal", gamma=0.0)))


def test_sigmoid_focal_of_pairs_is_that_of_keras():
    oracle = keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=True, alpha=0.75, gamma=2.0, from_logits=True, reduction="none"
    )
    own = by_pair(build_loss("sigmoid_focal", gamma=2.0, alpha=[0.25, 0.75]))
    assert np.allclose(own, oracle(SAME[:, None], LOGIT[:, None]), atol=1e-6)


@pytest.mark.parametrize("name", ["focal", "sigmoid_focal"])
def test_alpha_of_each_class_weighs_its_share(name):
    logits = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    labels, alpha = np.array([0, 1, 2, 0, 1, 2]), [0.5, 1.0, 4.0]
    weighed = np.asarray(build_loss(name, alpha=alpha).call(labels, logits))
    if name == "focal":
        plain = np.asarray(build_loss(name).call(labels, logits))
        assert np.allclose(weighed, plain * np.array(alpha)[labels], atol=1e-6)
        return
    for row, (label, found) in enumerate(zip(labels, weighed, strict=True)):
        p = 1 / (1 + np.exp(-logits[row]))
        right = np.where(np.arange(3) == label, p, 1 - p)
        assert np.isclose(found, sum(alpha * (1 - right) ** 2 * -np.log(right)), atol=1e-5)
