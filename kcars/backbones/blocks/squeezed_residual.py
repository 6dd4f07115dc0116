"""Blocks of MobileNetV3 (Howard et al. 2019, arXiv 1905.02244): inverted residuals with squeeze-and-excitation and hard swish."""

from collections.abc import Callable
from typing import NamedTuple

import keras
from keras import layers

from kcars.backbones.blocks.efficientnet_lite import eighths
from kcars.backbones.blocks.inverted_residual import normalized


class Block(NamedTuple):
    """kernel, stride: of the depthwise convolution; inner: channels within the block; width: channels of its output."""

    kernel: int
    stride: int
    inner: int
    width: int
    squeeze: bool
    swish: bool


def squeezed_residual(x, block: Block, name: str):
    """A block from (n, h, w, c) to (n, h / stride, w / stride, width), added to its input where shapes allow it."""
    given, channels = x, x.shape[-1]
    activated = hard_swish if block.swish else relu
    if block.inner != channels:
        expand = layers.Conv2D(block.inner, 1, use_bias=False, padding="same", name=f"{name}_expand")
        x = activated(normalized(x, expand, f"{name}_expand"), f"{name}_expand_act")
    depthwise = layers.DepthwiseConv2D(
        block.kernel, block.stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )
    x = activated(normalized(x, depthwise, f"{name}_depthwise"), f"{name}_depthwise_act")
    x = _squeezed(x, name) if block.squeeze else x
    project = layers.Conv2D(block.width, 1, padding="same", use_bias=False, name=f"{name}_project")
    x = normalized(x, project, f"{name}_project")
    fits = block.stride == 1 and channels == block.width
    return layers.Add(name=f"{name}_add")([x, given]) if fits else x


def convolved(x, width: int, kernel: int, stride: int, name: str):
    """Convolution `NAME_conv`, batch normalization `NAME_norm` and hard swish `NAME_act`."""
    convolution = layers.Conv2D(width, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")
    return hard_swish(normalized(x, convolution, name), f"{name}_act")


def hard_swish(x, name: str):
    """x * min(max(x + 3, 0), 6) / 6."""
    return layers.Activation(keras.activations.hard_silu, name=name)(x)


def relu(x, name: str):
    """max(x, 0)."""
    return layers.ReLU(name=name)(x)


def _squeezed(x, name: str):
    """Each channel times a factor from 0 to 1 that depends on the means of all (Hu et al. 2017, arXiv 1709.01507)."""
    channels = x.shape[-1]
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze_mean")(x)
    for part, width, activation in _gates(channels):
        y = layers.Conv2D(width, 1, name=f"{name}_squeeze_{part}")(y)
        y = layers.Activation(activation, name=f"{name}_squeeze_{part}_act")(y)
    return layers.Multiply(name=f"{name}_squeeze_multiply")([x, y])


def _gates(channels: int) -> tuple[tuple[str, int, Callable], ...]:
    return (
        ("reduce", eighths(channels / 4), keras.activations.relu),
        ("expand", channels, keras.activations.hard_sigmoid),
    )
