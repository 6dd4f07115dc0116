"""ConvNeXt of small widths: shapes, stochastic depth, and a block beside a plain computation."""

import math

import keras
import numpy as np
import pytest

from kcars.backbones.blocks.convnext import convnext_block, convnext_grid
from kcars.backbones.blocks.layers import StochasticDepth

PIXELS = np.random.default_rng(0).normal(size=(2, 6, 5, 4)).astype(np.float32)


def test_the_grid_has_a_32nd_of_the_side_and_later_blocks_are_dropped_more_often():
    images = keras.Input((64, 96, 3))
    model = keras.Model(images, convnext_grid(images, (4, 8, 8, 16), (1, 1, 2, 1), drop_path=0.4))
    assert model.output.shape == (None, 2, 3, 16)
    drops = [layer.rate for layer in model.layers if isinstance(layer, StochasticDepth)]
    np.testing.assert_allclose(drops, [0.1, 0.2, 0.3, 0.4])


def test_a_block_is_what_a_plain_computation_gives():
    images = keras.Input((6, 5, 4))
    model = keras.Model(images, convnext_block(images, "block"))
    draw = np.random.default_rng(1)
    model.set_weights([draw.normal(0, 0.5, weight.shape) for weight in model.weights])
    depthwise, norm, wide, narrow, scale = (
        [np.asarray(weight, float) for weight in model.get_layer(f"block_{part}").weights]
        for part in ("depthwise", "norm", "wide", "narrow", "scale")
    )
    padded = np.pad(PIXELS.astype(float), ((0, 0), (3, 3), (3, 3), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), axis=(1, 2))
    x = np.einsum("nhwcij,ijc->nhwc", windows, depthwise[0][..., 0]) + depthwise[1]
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * norm[0] + norm[1]
    x = x @ wide[0] + wide[1]
    x = x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    x = PIXELS + (x @ narrow[0] + narrow[1]) * scale[0]
    np.testing.assert_allclose(model(PIXELS), x, atol=1e-4)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_step_moves_every_weight_and_is_finite(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        images = keras.Input((32, 32, 3))
        features = keras.layers.GlobalAveragePooling2D(dtype="float32")(
            convnext_grid(images, (4, 8, 8, 16), (1, 1, 2, 1), drop_path=0.2)
        )
    finally:
        keras.config.set_dtype_policy(before)
    model = keras.Model(images, keras.layers.Dense(2)(features))
    model.compile(keras.optimizers.AdamW(1e-2), "mse", run_eagerly=True)
    weights, pixels = model.get_weights(), np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype(np.float32)
    assert np.isfinite(model.train_on_batch(pixels, np.eye(4, 2, dtype=np.float32)))
    moved = [not np.array_equal(*pair) for pair in zip(weights, model.get_weights(), strict=True)]
    assert sum(moved) > 0.8 * len(moved)  # A dropped branch of all photos may keep its weights.
