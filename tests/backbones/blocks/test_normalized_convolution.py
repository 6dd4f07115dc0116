"""A normalization folded into its convolution: the same outputs and gradients as the two layers one after the other."""

import keras
import numpy as np
import pytest
from keras import layers

from kcars.backbones.blocks.fused_batch_norm import BatchNormalization
from kcars.backbones.blocks.normalized_convolution import NormalizedConvolution
from kcars.models.networks import in_float32

KINDS = {
    "plain": lambda dtype: layers.Conv2D(5, 3, 2, padding="same", use_bias=False, name="conv", dtype=dtype),
    "by_depth": lambda dtype: layers.DepthwiseConv2D(3, 2, padding="same", use_bias=False, name="conv", dtype=dtype),
}


def built(kind, dtype="float32"):
    keras.utils.set_random_seed(0)
    pixels = keras.Input((9, 8, 4))
    norm = BatchNormalization(epsilon=1e-3, momentum=0.9, name="norm", dtype=dtype)
    both = NormalizedConvolution(KINDS[kind](dtype), norm, name="both", dtype=dtype)
    model = keras.Model(pixels, both(pixels))
    random = np.random.default_rng(1)
    norm.set_weights([random.uniform(0.5, 2, weight.shape) for weight in norm.weights])
    return model, both


def one_after_the_other(both, pixels):
    convolved = both.convolution(pixels)
    norm = both.norm
    return (convolved - norm.moving_mean) / keras.ops.sqrt(norm.moving_variance + norm.epsilon) * norm.gamma + norm.beta


PIXELS = np.random.default_rng(2).normal(size=(6, 9, 8, 4)).astype("float32")


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_and_gradients_are_those_of_both_layers(kind):
    import tensorflow as tf

    model, both = built(kind)
    both.norm.trainable = False
    kernel = both.convolution.kernel
    for training in (False, True):
        with tf.GradientTape(persistent=True) as tape:
            found, wanted = model(PIXELS, training=training), one_after_the_other(both, PIXELS)
            sums = [tf.reduce_sum(value * value) for value in (found, wanted)]
        assert np.allclose(found, wanted, atol=1e-4)
        slopes = [tape.gradient(one, kernel.value) for one in sums]
        assert np.allclose(*slopes, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_move_only_in_training_and_while_the_norm_is_trainable(kind):
    model, both = built(kind)
    before = [array.copy() for array in both.norm.get_weights()]

    def moved():
        return not all(np.array_equal(*pair) for pair in zip(before, both.norm.get_weights(), strict=True))

    model(PIXELS, training=False)
    assert not moved()
    both.norm.trainable = False
    model(PIXELS, training=True)
    assert not moved()
    both.norm.trainable = True
    found = model(PIXELS, training=True)
    assert moved()
    convolved = np.asarray(both.convolution(PIXELS))
    mean, variance = convolved.mean((0, 1, 2)), convolved.var((0, 1, 2))
    gamma, beta = before[:2]
    assert np.allclose(found, (convolved - mean) / np.sqrt(variance + 1e-3) * gamma + beta, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_copy_has_the_same_weights_and_outputs(kind, dtype, tmp_path):
    model, both = built(kind, dtype)
    wanted = np.asarray(model(PIXELS), np.float32)
    copy = in_float32(model)
    assert [weight.path.split("/")[-2:] for weight in copy.weights] == [
        weight.path.split("/")[-2:] for weight in model.weights
    ]
    assert np.allclose(copy(PIXELS), wanted, atol=1e-4 if dtype == "float32" else 0.2)
    model.save_weights(tmp_path / "a.weights.h5")
    model.save(tmp_path / "a.keras")
    other, _ = built(kind, dtype)
    other.set_weights([array * 0 for array in other.get_weights()])
    other.load_weights(tmp_path / "a.weights.h5")
    for one in (other, keras.saving.load_model(tmp_path / "a.keras")):
        assert np.array_equal(np.asarray(one(PIXELS), np.float32), wanted)
