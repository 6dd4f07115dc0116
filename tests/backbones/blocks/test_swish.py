"""The activation beside TensorFlow's own: values, gradient, within a graph, and in EfficientNet."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcars.backbones.blocks.applications import application
from kcars.backbones.blocks.swish import Swish

VALUES = np.random.default_rng(0).normal(0, 4, (5, 3, 3, 7)).astype(np.float32)


@pytest.mark.parametrize(("policy", "tolerance"), [("float32", 1e-6), ("mixed_bfloat16", 0.02)])
def test_values_and_gradient_are_those_of_silu(policy, tolerance):
    layer = Swish(dtype=policy)

    @tf.function
    def both(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            out = layer(x)
        return out, tape.gradient(out, x)

    x = tf.constant(VALUES)
    with tf.GradientTape() as tape:
        tape.watch(x)
        plain = tf.nn.silu(x)
    expected = plain, tape.gradient(plain, x)
    found = both(x)
    assert found[0].dtype == layer.compute_dtype
    for value, wanted in zip(found, expected, strict=True):
        assert np.allclose(tf.cast(value, "float32"), wanted, atol=tolerance * 20, rtol=tolerance)


def test_efficientnet_has_it_everywhere_and_gives_what_keras_does():
    model = application("EfficientNetB0", 64)
    stock = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(64, 64, 3))
    replaced = [layer for layer in model.layers if isinstance(layer, Swish)]
    named = [layer for layer in stock.layers if getattr(layer, "activation", None) is keras.activations.silu]
    assert len(replaced) == len([layer for layer in named if isinstance(layer, keras.layers.Activation)]) > 30
    # Keras' own has two layers before the network, of which one holds three numbers: the photos' means, deviations, count.
    model.set_weights([np.asarray(weight) for weight in stock.weights if not weight.path.startswith("normalization")])
    photos = np.random.default_rng(1).uniform(0, 1, (2, 64, 64, 3)).astype(np.float32)
    assert np.allclose(model(photos), stock(255 * photos), atol=1e-4)
