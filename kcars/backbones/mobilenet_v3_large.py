"""MobileNetV3-Large (Howard et al. 2019, arXiv 1905.02244), as in Keras, without the layers after the pooling."""

import re
from collections.abc import Callable, Collection
from itertools import accumulate

from kcars.backbones.catalogue import BACKBONES, ApplicationFile, Backbone, Scale

STAGES = (
    # Each stage is blocks of (kernel, stride, channels within, channels, squeeze-and-excitation, hard swish).
    ((3, 1, 16, 16, False, False),),
    ((3, 2, 64, 24, False, False), (3, 1, 72, 24, False, False)),
    ((5, 2, 72, 40, True, False), (5, 1, 120, 40, True, False), (5, 1, 120, 40, True, False)),
    ((3, 2, 240, 80, False, True), (3, 1, 200, 80, False, True), *(((3, 1, 184, 80, False, True),) * 2)),
    ((3, 1, 480, 112, True, True), (3, 1, 672, 112, True, True)),
    ((5, 2, 672, 160, True, True), *(((5, 1, 960, 160, True, True),) * 2)),
)
STEM, TOP = 16, 960


def grid(images, scale: Scale):
    """The last feature map of MobileNetV3-Large: (n, h / 32, w / 32, 960)."""
    from kcars.backbones.blocks.squeezed_residual import Block, convolved, squeezed_residual

    x = convolved(images, STEM, 3, 2, "stem")
    for stage, blocks in enumerate(STAGES, start=1):
        for number, block in enumerate(blocks, start=1):
            x = squeezed_residual(x, Block(*block), f"stage{stage}_block{number}")
    return convolved(x, TOP, 1, 1, "top")


BEFORE = (0, *accumulate(len(blocks) for blocks in STAGES))  # Blocks before each stage.
_KERAS = {"stem_conv": "conv", "stem_norm": "conv_bn", "top_conv": "conv_1", "top_norm": "conv_1_bn"}
_KERAS_SQUEEZE = {"squeeze_reduce": "squeeze_excite_conv", "squeeze_expand": "squeeze_excite_conv_1"}
_TIMM = {"stem_conv": "conv_stem", "stem_norm": "bn1", "top_conv": "blocks.6.0.conv", "top_norm": "blocks.6.0.bn1"}
_TIMM_PARTS = {
    "expand": "conv_pw",
    "expand_norm": "bn1",
    "depthwise": "conv_dw",
    "depthwise_norm": "bn2",
    "squeeze_reduce": "se.conv_reduce",
    "squeeze_expand": "se.conv_expand",
    "project": "conv_pwl",
    "project_norm": "bn3",
}
# The first block has no expansion, and timm other names for it.
_TIMM_FIRST = {"depthwise": "conv_dw", "depthwise_norm": "bn1", "project": "conv_pw", "project_norm": "bn2"}
_WEIGHTS = {"kernel": "weight", "gamma": "weight", "beta": "bias", "bias": "bias"}
_STATISTICS = {"moving_mean": "running_mean", "moving_variance": "running_var"}


def keras_layer(layer: str) -> str:
    """The name of a layer in Keras: `stage2_block1_expand_norm` -> `expanded_conv_1_expand_bn`."""
    if layer in _KERAS:
        return _KERAS[layer]
    found = re.fullmatch(r"stage(\d)_block(\d)_(\w+)", layer)
    if found is None:
        return layer
    number = BEFORE[int(found[1]) - 1] + int(found[2]) - 1
    part = _KERAS_SQUEEZE.get(found[3]) or re.sub("norm$", "bn", found[3])
    return f"expanded_conv_{number}_{part}" if number else f"expanded_conv_{part}"


def torch_names(names: Collection[str]) -> Callable[[str, str], str] | None:
    """timm's names of (layer, weight); ValueError for a file of torchvision, whose convolutions of stride 2 pad both sides."""
    if "features.1.block.0.0.weight" in names:
        raise ValueError(
            "has torchvision's MobileNetV3, which pads photos otherwise than Keras' and would give other features; use "
            "weights of timm's tf_mobilenetv3_large_100"
        )
    return timm_name if "blocks.6.0.conv.weight" in names and "conv_stem.weight" in names else None


def timm_name(layer: str, weight: str) -> str:
    """timm's name of a weight: `stage2_block1_expand`, `kernel` -> `blocks.1.0.conv_pw.weight`."""
    leaf = _WEIGHTS.get(weight) or _STATISTICS[weight]
    if layer in _TIMM:
        return f"{_TIMM[layer]}.{leaf}"
    found = re.fullmatch(r"stage(\d)_block(\d)_(\w+)", layer)
    if found is None:
        return f"{layer}/{weight}"
    parts = _TIMM_FIRST if found[1] == "1" else _TIMM_PARTS
    return f"blocks.{int(found[1]) - 1}.{int(found[2]) - 1}.{parts[found[3]]}.{leaf}"


BACKBONES.register(
    Backbone(
        "mobilenet_v3_large",
        grid,
        ("stem_.*", *(rf"stage{number}_.*" for number in range(1, 6)), "stage6_.*|top_.*"),
        normalization="half",
        imagenet=ApplicationFile(
            "MobileNetV3Large",
            "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v3/"
            "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
            layer=keras_layer,
        ),
        torch_names=torch_names,
        heat_grid="stage3_block3_add",
        slow_in_half=True,  # Because of the gradients of depthwise convolutions.
    )
)
