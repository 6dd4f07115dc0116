"""The fused layer beside Keras' own: outputs, gradients, statistics, saved form."""

import keras
import numpy as np
import pytest
from keras import layers

from kcars.backbones.blocks import fused_batch_norm

PHOTOS = np.random.default_rng(0).normal(3.0, 2.0, (8, 5, 4, 6)).astype(np.float32)


def pair(policy="float32", **settings):
    """Keras' layer and ours, of the same odd weights."""
    both = [kind(epsilon=1e-3, momentum=0.7, dtype=policy, **settings) for kind in (layers.BatchNormalization, fused_batch_norm.BatchNormalization)]  # fmt: skip
    random = np.random.default_rng(1)
    for layer in both:
        layer.build(PHOTOS.shape)
    weights = [random.uniform(0.5, 2.0, weight.shape) for weight in both[0].weights]
    for layer in both:
        layer.set_weights(weights)
    return both


@pytest.mark.parametrize("settings", [{}, {"scale": False}])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("policy", "tolerance"), [("float32", 3e-5), ("mixed_bfloat16", 0.05)])
def test_outputs_gradients_and_statistics_are_those_of_keras(policy, tolerance, training, settings):
    import tensorflow as tf

    found = []
    for layer in pair(policy, **settings):
        photos = tf.constant(PHOTOS)
        with tf.GradientTape() as tape:
            tape.watch(photos)
            outputs = layer(photos, training=training)
            loss = tf.reduce_sum(tf.cast(outputs, "float32") ** 3 * tf.range(6, dtype="float32"))
        weights = [weight.value for weight in layer.trainable_weights]
        found.append([outputs, *tape.gradient(loss, [photos, *weights]), layer.moving_mean, layer.moving_variance])
    for stock, fused in zip(*found, strict=True):
        stock, fused = (keras.ops.convert_to_numpy(keras.ops.cast(value, "float32")) for value in (stock, fused))
        assert np.abs(stock - fused).max() <= tolerance * np.abs(stock).max()
    assert found[0][0].dtype == found[1][0].dtype


def test_frozen_it_keeps_its_statistics():
    _, fused = pair()
    fused.trainable = False
    before = fused.get_weights()
    fused(PHOTOS, training=True)
    assert all((old == new).all() for old, new in zip(before, fused.get_weights(), strict=True))


def test_other_shapes_take_keras_way():
    stock, fused = (kind(name="norm") for kind in (layers.BatchNormalization, fused_batch_norm.BatchNormalization))
    vectors = PHOTOS[:, 0, 0]
    assert np.allclose(stock(vectors, training=True), fused(vectors, training=True), atol=1e-6)


def test_weights_files_are_interchangeable(tmp_path):
    models = [keras.Sequential([keras.Input((5, 4, 6)), layer]) for layer in pair(name="norm")]
    assert all(model.layers[0].name == "norm" for model in models)
    models[0].save_weights(tmp_path / "stock.weights.h5")
    models[1].set_weights([np.zeros(weight.shape) for weight in models[1].get_weights()])
    models[1].load_weights(tmp_path / "stock.weights.h5")
    assert np.allclose(models[0](PHOTOS), models[1](PHOTOS), atol=1e-5)
