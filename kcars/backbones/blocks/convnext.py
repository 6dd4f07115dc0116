"""Blocks of ConvNeXt (Liu et al. 2022, arXiv 2201.03545)."""

from collections.abc import Sequence

from keras import layers

from kcars.backbones.blocks.gelu import Gelu
from kcars.backbones.blocks.layers import LayerScale, StochasticDepth

EPSILON, FIRST_SCALE = 1e-6, 1e-6


def convnext_grid(images, widths: Sequence[int], blocks: Sequence[int], drop_path: float = 0.0):
    """The last feature map (n, h / 32, w / 32, widths[-1]) for scaled images (n, h, w, 3).

    Stage i has blocks[i] blocks of widths[i] channels. drop_path: probability of stochastic depth of the last block; it rises
    evenly from 0 at the first.
    """
    x, done = images, 0
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        x = _smaller(x, width, stage)
        for block in range(1, count + 1):
            drop = drop_path * done / max(sum(blocks) - 1, 1)
            x, done = convnext_block(x, f"stage{stage}_block{block}", drop), done + 1
    return x


def _smaller(x, width: int, stage: int):
    """The stem, a quarter of the size, then a normalization; before later stages a normalization, then half of the size."""
    if stage == 1:
        return norm("stem_norm")(layers.Conv2D(width, 4, 4, name="stem_conv")(x))
    return layers.Conv2D(width, 2, 2, name=f"stage{stage}_smaller")(norm(f"stage{stage}_smaller_norm")(x))


def convnext_block(x, name: str, drop: float = 0.0):
    """7x7 convolution of each channel, normalization, two layers at each position; added to its input."""
    width = x.shape[-1]
    y = layers.DepthwiseConv2D(7, padding="same", name=f"{name}_depthwise")(x)
    y = norm(f"{name}_norm")(y)
    y = layers.Dense(4 * width, name=f"{name}_wide")(y)
    y = layers.Dense(width, name=f"{name}_narrow")(Gelu(name=f"{name}_gelu")(y))
    y = LayerScale(FIRST_SCALE, name=f"{name}_scale")(y)
    if drop:
        y = StochasticDepth(drop, name=f"{name}_drop")(y)
    return layers.Add(name=f"{name}_add")([x, y])


def norm(name: str, dtype: str | None = None):
    """Normalization over the channels of each position (Ba et al. 2016, arXiv 1607.06450)."""
    return layers.LayerNormalization(epsilon=EPSILON, name=name, dtype=dtype)
