"""The steps after a network: the same in NumPy and in a graph, with files for what was fitted."""

import numpy as np
import pytest

from kcars.posthoc.adjusted_head import AdjustedHead
from kcars.posthoc.distance_transform import DistanceTransform
from kcars.posthoc.pipeline import Pipeline

VECTORS = np.array([[3.0, 4.0], [0.0, 0.5], [-1.0, 1.0]], np.float32)
TRANSFORM = DistanceTransform(*(np.array(part, np.float32) for part in ([0.1, -0.2], [[1, 2], [0.5, -1]], [1, 2])))
PIPELINES = {
    "unchanged": Pipeline(),
    "unit length": Pipeline(unit=True),
    "transformed": Pipeline(transform=TRANSFORM, unit=True),
}


def test_outputs_go_through_what_was_fitted():
    assert PIPELINES["unchanged"](VECTORS) is VECTORS
    assert PIPELINES["unit length"](VECTORS)[0] == pytest.approx([0.6, 0.8])
    assert (PIPELINES["transformed"](VECTORS) == TRANSFORM(VECTORS)).all()


@pytest.mark.parametrize("name", PIPELINES)
def test_a_graph_gives_what_numpy_gives_with_finite_gradients(name):
    import tensorflow as tf

    pipeline, given = PIPELINES[name], tf.constant(np.vstack([VECTORS, np.zeros((1, 2), np.float32)]))
    with tf.GradientTape() as tape:
        tape.watch(given)
        found = pipeline.in_graph(given)
    assert np.asarray(found) == pytest.approx(pipeline(given.numpy()), abs=1e-6)
    assert np.isfinite(tape.gradient(found, given)).all()


def test_it_says_whether_its_vectors_have_length_1():
    whole = DistanceTransform(TRANSFORM.mean, TRANSFORM.projection, np.ones(2, np.float32))
    wanted = [
        (Pipeline(), False),
        (Pipeline(unit=True), True),
        (Pipeline(transform=whole), True),
        (PIPELINES["transformed"], False),
    ]
    for pipeline, unit in wanted:
        assert pipeline.gives_unit_vectors == unit


def test_its_files_are_those_of_what_was_fitted():
    head = AdjustedHead("logits", 0.5, np.ones((2, 3), np.float32), np.zeros(3, np.float32))
    assert Pipeline(unit=True).parts() == {}
    assert Pipeline(transform=TRANSFORM).parts() == {"metric": TRANSFORM.content()}
    assert Pipeline(head=head).parts() == {"head": head.content()}


def test_its_network_has_the_other_head_or_is_the_network_itself():
    import keras

    given = keras.Input((2,))
    network = keras.Model(given, {"model": keras.layers.Dense(3, name="model")(given)})
    head = AdjustedHead("logits", 0.5, np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3, np.float32))
    assert Pipeline().network(network, "model") is network
    found = Pipeline(head=head).network(network, "model")(VECTORS)["model"]
    assert np.asarray(found) == pytest.approx(head.logits(VECTORS), abs=1e-5)
