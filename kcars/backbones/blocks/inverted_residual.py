"""Blocks of mobile networks: a convolution to more channels, one for each channel, and one back (Sandler et al. 2018, arXiv 1801.04381)."""

from keras import layers

from kcars.backbones.blocks.fused_batch_norm import BatchNormalization
from kcars.backbones.blocks.normalized_convolution import NormalizedConvolution

EPSILON = 1e-3  # Of TensorFlow's releases.


def convolved(x, width: int, kernel: int, stride: int, name: str):
    """Convolution `NAME_conv`, batch normalization `NAME_norm` and ReLU6 `NAME_relu`."""
    convolution = layers.Conv2D(width, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")
    return layers.ReLU(6.0, name=f"{name}_relu")(normalized(x, convolution, name))


def inverted_residual(x, width: int, kernel: int, stride: int, expansion: int, name: str):
    """A block from (n, h, w, c) to (n, h / stride, w / stride, width), added to its input where shapes allow it."""
    given, channels = x, x.shape[-1]
    if expansion > 1:
        expand = layers.Conv2D(channels * expansion, 1, padding="same", use_bias=False, name=f"{name}_expand")
        x = layers.ReLU(6.0, name=f"{name}_expand_relu")(normalized(x, expand, f"{name}_expand"))
    depthwise = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise")
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(normalized(x, depthwise, f"{name}_depthwise"))
    project = layers.Conv2D(width, 1, padding="same", use_bias=False, name=f"{name}_project")
    x = normalized(x, project, f"{name}_project")
    return layers.Add(name=f"{name}_add")([x, given]) if stride == 1 and channels == width else x


def normalized(x, convolution: layers.Layer, name: str):
    """The convolution with batch normalization `NAME_norm`."""
    norm = BatchNormalization(epsilon=EPSILON, momentum=0.9, name=f"{name}_norm")
    return NormalizedConvolution(convolution, norm, name=f"{name}_normalized")(x)
