"""A small vision transformer: its feature map, tokens, positions, and attention beside plain computations."""

import keras
import numpy as np
import pytest

from kcars.backbones.blocks.layers import StochasticDepth
from kcars.backbones.blocks.vision_transformer import (
    Attention,
    ClassTokenOnGrid,
    Layout,
    Tokens,
    bicubic,
    transformer_grid,
)

SMALL = Layout(width=8, heads=2, blocks=3, patch=4, trained=5, registers=2)
DRAW = np.random.default_rng(0)


def test_the_grid_averages_to_the_mean_patch_token_and_the_class_token():
    images = keras.Input((12, 8, 3))
    model = keras.Model(images, transformer_grid(images, SMALL, drop_path=0.4))
    pixels = DRAW.normal(size=(2, 12, 8, 3)).astype(np.float32)
    grid = np.asarray(model(pixels))
    assert grid.shape == (2, 3, 2, 16)
    tokens = np.asarray(keras.Model(images, model.get_layer("top_norm").output)(pixels))
    assert tokens.shape == (2, 1 + 2 + 6, 8)
    np.testing.assert_allclose(grid[..., :8].reshape(2, 6, 8), tokens[:, 3:], atol=1e-6)
    np.testing.assert_allclose(grid[..., 8:].mean((1, 2)), tokens[:, 0], atol=1e-5)
    rates = [layer.rate for layer in model.layers if isinstance(layer, StochasticDepth)]
    np.testing.assert_allclose(rates, [0.2, 0.2, 0.4, 0.4])


def test_positions_of_the_trained_size_are_taken_as_they_are():
    layer = Tokens(registers=2, trained=3)
    patches = DRAW.normal(size=(2, 3, 3, 4)).astype(np.float32)
    layer.build(patches.shape)
    first, register, position = (DRAW.normal(size=weight.shape) for weight in layer.weights)
    layer.set_weights([first, register, position])
    found = np.asarray(layer(patches))
    np.testing.assert_allclose(found[:, 0], np.repeat(first[0] + position[0, :1], 2, 0), atol=1e-5)
    np.testing.assert_allclose(found[:, 1:3], np.repeat(register, 2, 0), atol=1e-5)
    np.testing.assert_allclose(found[:, 3:], patches.reshape(2, 9, 4) + position[:, 1:], atol=1e-5)


@pytest.mark.parametrize(("given", "wanted"), [(37, 16), (5, 5), (4, 7)])
def test_interpolation_keeps_constants_and_the_order_of_a_slope(given, wanted):
    matrix = bicubic(given, wanted)
    np.testing.assert_allclose(matrix.sum(1), 1)
    np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-12)
    assert (np.diff(matrix @ np.arange(given)) > 0).all()
    if given == wanted:
        np.testing.assert_allclose(matrix, np.eye(given), atol=1e-12)


def test_interpolation_that_reduces_by_two_is_that_of_a_library():
    from PIL import Image

    values = DRAW.normal(size=(1, 12)).astype(np.float32)
    expected = np.asarray(Image.fromarray(values).resize((6, 1), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(values @ bicubic(12, 6).T, expected, atol=1e-5)


def test_attention_is_a_mean_of_values_by_softmax_of_products():
    query, key, value = DRAW.normal(size=(3, 2, 5, 8)).astype(np.float32)
    found, attention = Attention(heads=2)([query, key, value])
    assert attention.shape == (2, 2, 5, 5)
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        scores = np.exp(np.einsum("nic,njc->nij", query[..., part], key[..., part]) / 2)
        weights = scores / scores.sum(-1, keepdims=True)
        np.testing.assert_allclose(attention[:, head], weights, atol=1e-5)
        np.testing.assert_allclose(found[..., part], weights @ value[..., part], atol=1e-5)


def test_a_position_has_the_class_token_by_its_share_of_the_attention():
    tokens = np.ones((1, 5, 2), np.float32)
    attention = np.zeros((1, 1, 5, 5), np.float32)
    attention[0, 0, 0] = [0.5, 0.1, 0.1, 0.1, 0.2]
    grid = np.asarray(ClassTokenOnGrid(2, 2)([tokens, attention]))
    np.testing.assert_allclose(grid[0, :, :, 2], [[0.8, 0.8], [0.8, 1.6]], atol=1e-6)
    np.testing.assert_allclose(grid[0, :, :, 0], 1)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_step_moves_every_weight_and_is_finite(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        images = keras.Input((8, 8, 3))
        features = keras.layers.GlobalAveragePooling2D(dtype="float32")(transformer_grid(images, SMALL, drop_path=0.2))
    finally:
        keras.config.set_dtype_policy(before)
    model = keras.Model(images, keras.layers.Dense(2)(features))
    model.compile(keras.optimizers.AdamW(1e-2), "mse", run_eagerly=True)
    weights, pixels = model.get_weights(), np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
    assert np.isfinite(model.train_on_batch(pixels, np.eye(4, 2, dtype=np.float32)))
    moved = [not np.array_equal(*pair) for pair in zip(weights, model.get_weights(), strict=True)]
    assert sum(moved) > 0.8 * len(moved)  # A dropped branch of all photos may keep its weights.
