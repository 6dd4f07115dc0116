"""DINOv2's small vision transformer with registers (Oquab et al. 2023, arXiv 2304.07193), trained on photos without labels."""

import re
from collections.abc import Callable, Collection

from kcars.backbones.catalogue import BACKBONES, Backbone, HubFile, Scale

PATCH, BLOCKS = 14, 12


def grid(images, scale: Scale):
    """The normalized patch tokens and the class token: (n, h / 14, w / 14, 768)."""
    from kcars.backbones.blocks.vision_transformer import Layout, transformer_grid

    layout = Layout(width=384, heads=6, blocks=BLOCKS, patch=PATCH, trained=37, registers=4)
    return transformer_grid(images, layout, scale.drop_path)


_TOKENS = {"class": "cls_token", "register": "register_tokens", "position": "position_embeddings"}
_PARTS = {
    "norm1": "norm1",
    "query": "attention.attention.query",
    "key": "attention.attention.key",
    "value": "attention.attention.value",
    "output": "attention.output.dense",
    "first_scale": "layer_scale1",
    "norm2": "norm2",
    "wide": "mlp.fc1",
    "narrow": "mlp.fc2",
    "second_scale": "layer_scale2",
}
_WEIGHTS = {"kernel": "weight", "gamma": "weight", "beta": "bias", "bias": "bias"}


def torch_names(names: Collection[str]) -> Callable[[str, str], str] | None:
    """The names of (layer, weight) in the published file."""
    return torch_name if "embeddings.register_tokens" in names else None


def torch_name(layer: str, weight: str) -> str:
    """The published name of a weight: `block1_wide`, `kernel` -> `encoder.layer.0.mlp.fc1.weight`."""
    if layer == "tokens":
        return f"embeddings.{_TOKENS[weight]}"
    found = re.fullmatch(r"block(\d+)_(\w+)", layer)
    if found is None:
        start = "embeddings.patch_embeddings.projection" if layer == "patches" else "layernorm"
        return f"{start}.{_WEIGHTS[weight]}"
    leaf = "lambda1" if found[2].endswith("scale") else _WEIGHTS[weight]
    return f"encoder.layer.{int(found[1]) - 1}.{_PARTS[found[2]]}.{leaf}"


def _blocks(first: int, last: int) -> str:
    return f"block(?:{'|'.join(map(str, range(first, last + 1)))})_.*"


BACKBONES.register(
    Backbone(
        "dinov2_small",
        grid,
        ("patches|tokens", _blocks(1, 3), _blocks(4, 6), _blocks(7, 9), f"{_blocks(10, BLOCKS)}|top_norm"),
        drop_path=True,
        smallest_px=2 * PATCH,
        multiple_px=PATCH,
        normalization="imagenet",
        imagenet=HubFile("facebook/dinov2-with-registers-small", "model.safetensors"),
        torch_names=torch_names,
    )
)
