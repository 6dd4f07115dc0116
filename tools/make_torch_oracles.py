"""Writes tests/models/torch_oracles.npz: features of the official PyTorch implementations of backbones, with random weights.

    python -m venv /tmp/torch && /tmp/torch/bin/pip install torch torchvision timm transformers numpy
    /tmp/torch/bin/python tools/make_torch_oracles.py

Weights and photos are drawn by numpy from a seed and the tensors' names, so that the tests draw the same ones without PyTorch.
Stored are the features, and the names and shapes of the tensors in the files that each library reads and writes.
"""

import json
import tempfile
import zlib
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent.parent / "tests" / "models" / "torch_oracles.npz"
PHOTOS = 2
SIZES = {
    "mobilenet_v3_large/timm": (64, 97),
    "convnext_tiny/timm": (64, 97),
    "convnext_tiny/torchvision": (64, 97),
    "dinov2_small/transformers": (56, 224),
}
"""Sides of the photos in pixels, by backbone and library."""


def seeded_tensors(shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """A float32 array by name, far from the initial state of a network, with outputs of every layer in the order of 1."""
    return {name: _drawn(name, tuple(shape)).astype(np.float32) for name, shape in shapes.items()}


def _drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    draw, last = np.random.default_rng(zlib.crc32(name.encode())), name.rpartition(".")[2]
    if last in ("gamma", "layer_scale", "lambda1"):
        return draw.uniform(0.2, 0.6, shape)
    if last == "running_var" or (last == "weight" and len(shape) == 1):
        return draw.uniform(0.5, 1.5, shape)
    if last in ("bias", "running_mean"):
        return draw.normal(0, 0.2, shape)
    if last == "weight":
        return draw.normal(0, np.sqrt(1 / np.prod(shape[1:])), shape)
    return draw.normal(0, 0.5, shape)  # Tokens and positions.


def seeded_images(size: int) -> np.ndarray:
    """Scaled images (n, size, size, 3) float32."""
    return np.random.default_rng(size).normal(0, 1, (PHOTOS, size, size, 3)).astype(np.float32)


def _read(model):
    """The model with seeded weights, and the shapes of its tensors."""
    import torch

    shapes = {name: list(one.shape) for name, one in model.state_dict().items() if one.is_floating_point()}
    weights = {name: torch.from_numpy(array) for name, array in seeded_tensors(shapes).items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    return model.eval(), shapes


def _timm(name: str):
    import timm

    model, shapes = _read(timm.create_model(name, pretrained=False, num_classes=0))
    if name == "tf_mobilenetv3_large_100":  # kcars' features are the means of the last feature map.
        return lambda images: model.forward_features(images).mean((2, 3)), shapes
    return model, shapes


def _torchvision(name: str):
    import torchvision

    model, shapes = _read(getattr(torchvision.models, name)(weights=None))
    return lambda images: model.classifier[:2](model.avgpool(model.features(images))), shapes


def _transformers():
    """The mean patch token and the class token, with weights that are read from a file in the names of the published one."""
    import torch
    from safetensors.numpy import load_file, save_file
    from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    published = {"hidden_size": 384, "num_attention_heads": 6, "image_size": 518, "patch_size": 14}
    config = Dinov2WithRegistersConfig(**published, num_register_tokens=4)
    with tempfile.TemporaryDirectory() as folder:
        Dinov2WithRegistersModel(config).save_pretrained(folder)
        file = Path(folder) / "model.safetensors"
        shapes = {name: list(array.shape) for name, array in sorted(load_file(file).items())}
        save_file(seeded_tensors(shapes), file, metadata={"format": "pt"})
        model = Dinov2WithRegistersModel.from_pretrained(folder).eval()

    def features(images):
        tokens = model(images).last_hidden_state
        return torch.cat([tokens[:, 5:].mean(1), tokens[:, 0]], 1)

    return features, shapes


def main() -> None:
    import torch

    networks = {
        "mobilenet_v3_large/timm": lambda: _timm("tf_mobilenetv3_large_100"),
        "convnext_tiny/timm": lambda: _timm("convnext_tiny"),
        "convnext_tiny/torchvision": lambda: _torchvision("convnext_tiny"),
        "dinov2_small/transformers": _transformers,
    }
    stored, all_shapes = {}, {}
    for name, sizes in SIZES.items():
        network, all_shapes[name] = networks[name]()
        for size in sizes:
            images = torch.from_numpy(seeded_images(size).transpose(0, 3, 1, 2).copy())
            with torch.no_grad():
                stored[f"{name}/{size}"] = network(images).numpy()
    np.savez_compressed(OUT, shapes=json.dumps(all_shapes), **stored)
    print(*(f"{name}: deviation {array.std():.3f}" for name, array in stored.items()), sep="\n")


if __name__ == "__main__":
    main()
