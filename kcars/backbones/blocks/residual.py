"""Residual networks of basic blocks (He et al. 2015, arXiv 1512.03385), laid out as in torchvision."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import layers

from kcars.backbones.blocks.fused_batch_norm import BatchNormalization
from kcars.backbones.blocks.layers import GeneralizedMean, StochasticDepth
from kcars.backbones.catalogue import Scale


def residual_network(
    name: str,
    size_px: int,
    widths: Sequence[int],
    blocks: Sequence[int],
    stem: str = "standard",
    stem_width: int | None = None,
    project_first: bool = False,
) -> keras.Model:
    """Model from scaled images (n, size_px, size_px, 3) to features (n, widths[-1]), the means of `residual_grid`."""
    images = keras.Input((size_px, size_px, 3), name="images")
    grid = residual_grid(images, widths, blocks, stem, stem_width, project_first)
    return keras.Model(images, pooled(grid), name=name)


def residual_grid(
    images,
    widths: Sequence[int],
    blocks: Sequence[int],
    stem: str = "standard",
    stem_width: int | None = None,
    project_first: bool = False,
    drop_path: float = 0.0,
):
    """The last feature map (n, h / 32, w / 32, widths[-1]) for scaled images (n, h, w, 3).

    Stage i has blocks[i] blocks of widths[i] channels; every stage but the first halves height and width.
    stem_width: channels of the stem, by default those of the first stage. project_first: use a 1x1 projection in the first
    block of every stage, even if the shapes allow the identity. drop_path: probability of stochastic depth of the last block;
    block b of n has b / n of it.
    """
    x, done = STEMS[stem](images, stem_width or widths[0]), 0
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        for block in range(1, count + 1):
            first = block == 1
            stride = 2 if first and stage > 1 else 1
            project = first and (project_first or stride > 1 or x.shape[-1] != width)
            done += 1
            x = basic_block(x, width, stride, project, f"stage{stage}_block{block}", drop_path * done / sum(blocks))
    return x


@dataclass(frozen=True)
class Layout:
    """widths, blocks: of each stage; stem_width: None for that of the first stage; project_first: as in `residual_grid`."""

    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    stem_width: int | None = None
    project_first: bool = False


def scaled_grid(images, scale: Scale, layout: Layout):
    """`residual_grid` of a layout, with all widths multiplied by the scale."""
    widths = [scaled_width(channels, scale.width) for channels in layout.widths]
    stem_width = scaled_width(layout.stem_width, scale.width) if layout.stem_width else None
    return residual_grid(images, widths, layout.blocks, scale.stem, stem_width, layout.project_first, scale.drop_path)


def scaled_width(channels: int, width: float) -> int:
    """`channels` times `width`, rounded to a multiple of 8, at least 8."""
    return max(8, 8 * int(channels * width / 8 + 0.5))


POOLED_BY = ("average", "gem")  # Names of the layers created by `pooled`.


def pooled(grid, kind: str = "average"):
    """Global pooling of a feature map (n, h, w, c) to features (n, c) float32: average, or with "gem" generalized mean.

    The mean loses precision in half precision, and costs nothing in float32.
    """
    if kind == "gem":
        return GeneralizedMean(name="gem")(grid)
    return layers.GlobalAveragePooling2D(dtype="float32", name="average")(grid)


def standard_stem(images, width: int):
    """7x7 convolution and 3x3 max pooling, both with stride 2: a quarter of the size."""
    x = convolution(images, width, 7, 2, "stem_conv")
    x = layers.ReLU(name="stem_relu")(batch_norm("stem_norm")(x))
    # After ReLU zeros do not change the maximum, so zero padding equals torchvision's -inf.
    x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
    return layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)


def compact_stem(images, width: int):
    """5x5 convolution with stride 2 and 2x2 max pooling: a quarter of the size, for photos of 64 to 128 pixels.

    Without the pooling the first stage would have four times the positions, and a step would take over three times as long.
    """
    x = convolution(images, width, 5, 2, "stem_conv")
    x = layers.ReLU(name="stem_relu")(batch_norm("stem_norm")(x))
    return layers.MaxPooling2D(2, strides=2, name="stem_pool")(x)


STEMS = {"standard": standard_stem, "compact": compact_stem}


def basic_block(x, width: int, stride: int, project: bool, name: str, drop: float = 0.0):
    """Residual block of two 3x3 convolutions, dropped with probability `drop`, and the identity or a 1x1 projection."""
    shortcut = x
    if project:
        shortcut = convolution(x, width, 1, stride, f"{name}_project")
        shortcut = batch_norm(f"{name}_project_norm")(shortcut)
    y = convolution(x, width, 3, stride, f"{name}_conv1")
    y = layers.ReLU(name=f"{name}_relu1")(batch_norm(f"{name}_norm1")(y))
    y = convolution(y, width, 3, 1, f"{name}_conv2")
    y = batch_norm(f"{name}_norm2")(y)
    if drop:
        y = StochasticDepth(drop, name=f"{name}_drop")(y)
    y = layers.Add(name=f"{name}_add")([y, shortcut])
    return layers.ReLU(name=f"{name}_relu2")(y)


def convolution(x, width: int, kernel: int, stride: int, name: str):
    """Convolution without bias, zero padding kernel // 2 on every side.

    padding="same" with stride 2 pads an even size unequally (3x3: 0 left, 1 right), torchvision equally:
    there padding is a separate layer.
    """
    padding = "same"
    if stride > 1:
        padding = "valid"
        if kernel > 1:
            x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    return layers.Conv2D(
        width,
        kernel,
        strides=stride,
        padding=padding,
        use_bias=False,
        kernel_initializer=he_fan_out(),
        name=name,
    )(x)


def batch_norm(name: str, dtype: str | None = None):
    """Batch normalization with torchvision's constants (its momentum 0.1 is Keras' 0.9)."""
    return BatchNormalization(epsilon=1e-5, momentum=0.9, name=name, dtype=dtype)


def he_fan_out():
    """Initializer of normal weights with variance 2 / fan_out (He et al. 2015, arXiv 1502.01852), not truncated."""
    return keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")
