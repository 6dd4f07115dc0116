"""Names and layouts of PyTorch's weights for the layers of this package: of torchvision's ResNet18 (also timm's `resnet18.tv_in1k`)."""

import re

import numpy as np

_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
_PARTS = {"project": "downsample.0", "project_norm": "downsample.1"}


def is_torch_resnet(names) -> bool:
    """Whether these are the names of a torchvision ResNet's tensors."""
    return "conv1.weight" in names and "layer1.0.conv1.weight" in names


def torch_leaf(weight: str) -> str | None:
    """PyTorch's name of a weight within its layer: `gamma` -> `weight`; None for one that it does not have."""
    return "weight" if weight == "kernel" else _NORM.get(weight)


def torch_name(layer: str, weight: str) -> str:
    """`stage2_block1_norm2`, `gamma` -> `layer2.0.bn2.weight`; `layer/weight` for what is of no residual network of basic blocks."""
    leaf = torch_leaf(weight)
    found = re.fullmatch(r"stage(\d)_block(\d+)_(\w+)", layer)
    if leaf is None or not (found or layer in ("stem_conv", "stem_norm")):
        return f"{layer}/{weight}"
    if not found:
        return f"{'conv1' if layer == 'stem_conv' else 'bn1'}.{leaf}"
    stage, block, part = found.groups()
    part = _PARTS.get(part) or part.replace("norm", "bn")
    return f"layer{stage}.{int(block) - 1}.{part}.{leaf}"


def as_keras(tensor: np.ndarray, layer: str = "") -> np.ndarray:
    """Kernels of dense layers (out, in) as (in, out), of convolutions (out, in, h, w) as (h, w, in, out), of depthwise layers
    (c, 1, h, w) as (h, w, c, 1); scales of channels (c, 1, 1) as (c,); other tensors unchanged."""
    if tensor.ndim == 2:
        return tensor.T
    if tensor.ndim == 3 and tensor.shape[1:] == (1, 1):
        return tensor[:, 0, 0]
    if tensor.ndim != 4:
        return tensor
    return tensor.transpose(2, 3, 0, 1) if layer.endswith("depthwise") else tensor.transpose(2, 3, 1, 0)
