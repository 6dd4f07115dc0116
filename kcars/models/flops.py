"""Counts the multiply-adds of a network for one photo, from the shapes of its layers."""

import math

import keras
from keras import layers

from kcars.backbones.blocks.normalized_convolution import NormalizedConvolution
from kcars.backbones.blocks.vision_transformer import Attention


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one photo from pixels to output; normalization, additions and pooling are not counted."""
    return sum(multiply_adds(layer) if isinstance(layer, keras.Model) else _of(layer) for layer in model.layers)


def _of(layer) -> int:
    if isinstance(layer, NormalizedConvolution):
        return math.prod(layer.output.shape[1:3]) * math.prod(layer.convolution.kernel.shape)
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):  # (h, w, in, out), or (h, w, channels, 1) by depth
        return math.prod(layer.output.shape[1:3]) * math.prod(layer.kernel.shape)
    if isinstance(layer, Attention):  # Scores and weighted values.
        return 2 * math.prod(layer.output[1].shape[2:]) * layer.output[0].shape[-1]
    if isinstance(layer, layers.Dense):  # At each place of (n, ..., c).
        return math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
    return 0
