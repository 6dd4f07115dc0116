"""Blocks of MobileNetV3: shapes, where the input is added, and squeeze-and-excitation beside a plain computation."""

import keras
import numpy as np
import pytest

from kcars.backbones.blocks.squeezed_residual import Block, squeezed_residual

PIXELS = np.random.default_rng(0).normal(size=(2, 8, 8, 16)).astype(np.float32)


def built(block: Block) -> keras.Model:
    images = keras.Input((8, 8, 16))
    return keras.Model(images, squeezed_residual(images, block, "block"))


@pytest.mark.parametrize(
    ("block", "shape", "added", "expanded"),
    [
        (Block(3, 1, 16, 16, squeeze=False, swish=False), (None, 8, 8, 16), True, False),
        (Block(5, 2, 48, 16, squeeze=True, swish=True), (None, 4, 4, 16), False, True),
        (Block(3, 1, 48, 24, squeeze=False, swish=True), (None, 8, 8, 24), False, True),
    ],
)
def test_shapes_and_parts(block, shape, added, expanded):
    model = built(block)
    names = {layer.name for layer in model.layers}
    assert model.output.shape == shape
    assert ("block_add" in names, "block_expand_normalized" in names) == (added, expanded)


def test_squeeze_and_excitation_multiplies_channels_by_their_factors():
    model = built(Block(3, 1, 48, 16, squeeze=True, swish=True))
    before = keras.Model(model.input, model.get_layer("block_depthwise_act").output)(PIXELS)
    after = keras.Model(model.input, model.get_layer("block_squeeze_multiply").output)(PIXELS)
    reduce, expand = (
        [np.asarray(weight) for weight in model.get_layer(f"block_squeeze_{part}").weights]
        for part in ("reduce", "expand")
    )
    assert reduce[0].shape == (1, 1, 48, 16)  # A quarter is 12, of which the next multiple of 8 is taken.
    inner = np.maximum(np.mean(before, (1, 2)) @ reduce[0][0, 0] + reduce[1], 0)
    factors = np.clip((inner @ expand[0][0, 0] + expand[1]) / 6 + 0.5, 0, 1)
    np.testing.assert_allclose(after, np.asarray(before) * factors[:, None, None], atol=1e-5)
