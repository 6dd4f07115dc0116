"""Counts the multiply-adds of a network for one photo, from the shapes of its layers."""

import math

import keras
from keras import layers

from kcars.backbones.blocks.normalized_convolution import NormalizedConvolution


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one photo from pixels to output; normalization, additions and pooling are not counted."""
    return sum(multiply_adds(layer) if isinstance(layer, keras.Model) else _of(layer) for layer in model.layers)


def _of(layer) -> int:
    if isinstance(layer, NormalizedConvolution):
        return math.prod(layer.output.shape[1:3]) * math.prod(layer.convolution.kernel.shape)
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):  # (h, w, in, out), or (h, w, channels, 1) by depth
        return math.prod(layer.output.shape[1:3]) * math.prod(layer.kernel.shape)
    return math.prod(layer.kernel.shape) if isinstance(layer, layers.Dense) else 0
