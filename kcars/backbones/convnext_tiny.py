"""ConvNeXt-Tiny (Liu et al. 2022, arXiv 2201.03545), with the normalization of the pooled features."""

import re
from collections.abc import Callable, Collection

from kcars.backbones.catalogue import BACKBONES, ApplicationFile, Backbone, Scale

WIDTHS, BLOCKS = (96, 192, 384, 768), (3, 3, 9, 3)


def grid(images, scale: Scale):
    """The last feature map of ConvNeXt-Tiny: (n, h / 32, w / 32, 768)."""
    from kcars.backbones.blocks.convnext import convnext_grid

    return convnext_grid(images, WIDTHS, BLOCKS, scale.drop_path)


def normalized(features):
    """Features (n, 768) after the pooling, normalized in float32."""
    from kcars.backbones.blocks.convnext import norm

    return norm("top_norm", "float32")(features)


_KERAS = {
    "stem_conv": "stem_conv",
    "stem_norm": "stem_layernorm",
    "smaller": "downsampling_conv",
    "smaller_norm": "downsampling_layernorm",
    "depthwise": "depthwise_conv",
    "norm": "layernorm",
    "wide": "pointwise_conv_1",
    "narrow": "pointwise_conv_2",
    "scale": "layer_scale",
}
_TIMM = {
    "stem_conv": "stem.0",
    "stem_norm": "stem.1",
    "top_norm": "head.norm",
    "smaller": "downsample.1",
    "smaller_norm": "downsample.0",
    "depthwise": "conv_dw",
    "norm": "norm",
    "wide": "mlp.fc1",
    "narrow": "mlp.fc2",
}
_TORCHVISION = {
    "stem_conv": "features.0.0",
    "stem_norm": "features.0.1",
    "top_norm": "classifier.0",
    "smaller": "1",
    "smaller_norm": "0",
    "depthwise": "block.0",
    "norm": "block.2",
    "wide": "block.3",
    "narrow": "block.5",
}
_WEIGHTS = {"kernel": "weight", "gamma": "weight", "beta": "bias", "bias": "bias"}


def keras_layer(layer: str) -> str:
    """The name of a layer in Keras: `stage2_block1_norm` -> `convnext_tiny_stage_1_block_0_layernorm`."""
    if layer == "top_norm":
        return "layer_normalization_1"
    stage, block, part = _parts(layer)
    if stage and not block:
        return f"convnext_tiny_{_KERAS[part]}_{stage - 2}"
    within = f"stage_{stage - 1}_block_{block - 1}_" if stage else ""
    return f"convnext_tiny_{within}{_KERAS[part]}"


def torch_names(names: Collection[str]) -> Callable[[str, str], str] | None:
    """The names of (layer, weight) in a file of timm or of torchvision."""
    if "stages.0.blocks.0.conv_dw.weight" in names:
        return timm_name
    return torchvision_name if "features.1.0.block.0.weight" in names else None


def timm_name(layer: str, weight: str) -> str:
    """timm's name of a weight: `stage2_block1_wide`, `kernel` -> `stages.1.blocks.0.mlp.fc1.weight`."""
    stage, block, part = _parts(layer)
    within = f"stages.{stage - 1}.blocks.{block - 1}." if block else f"stages.{stage - 1}." if stage else ""
    return f"{within}gamma" if part == "scale" else f"{within}{_TIMM[part]}.{_WEIGHTS[weight]}"


def torchvision_name(layer: str, weight: str) -> str:
    """torchvision's name of a weight: `stage2_block1_wide`, `kernel` -> `features.3.0.block.3.weight`."""
    stage, block, part = _parts(layer)
    within = f"features.{2 * stage - 1}.{block - 1}." if block else f"features.{2 * stage - 2}." if stage else ""
    return f"{within}layer_scale" if part == "scale" else f"{within}{_TORCHVISION[part]}.{_WEIGHTS[weight]}"


def _parts(layer: str) -> tuple[int, int, str]:
    """(stage, block, part) of a layer's name, 0 for what it does not have."""
    found = re.fullmatch(r"(?:stage(\d)_)?(?:block(\d)_)?(\w+)", layer)
    assert found is not None
    return int(found[1] or 0), int(found[2] or 0), found[3]


BACKBONES.register(
    Backbone(
        "convnext_tiny",
        grid,
        ("stem_.*|stage1_.*", "stage2_.*", "stage3_.*", "stage4_.*|top_.*"),
        drop_path=True,
        after_pooling=normalized,
        normalization="imagenet",
        imagenet=ApplicationFile(
            "ConvNeXtTiny",
            "https://storage.googleapis.com/tensorflow/keras-applications/convnext/convnext_tiny_notop.h5",
            layer=keras_layer,
        ),
        torch_names=torch_names,
        heat_grid="stage2_block3_add",
        slow_in_half=True,  # Because of the gradients of depthwise convolutions.
    )
)
