"""How much a network computes: multiply-adds of one photo, from the shapes of its layers."""

import math

import keras
from keras import layers


def multiply_adds(model: keras.Model) -> int:
    """Multiplications with additions that a photo takes from pixels to output; norms, sums and poolings are left out."""
    return sum(multiply_adds(layer) if isinstance(layer, keras.Model) else _of(layer) for layer in model.layers)


def _of(layer) -> int:
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):  # (h, w, in, out), or (h, w, channels, 1) by depth
        return math.prod(layer.output.shape[1:3]) * math.prod(layer.kernel.shape)
    return math.prod(layer.kernel.shape) if isinstance(layer, layers.Dense) else 0
