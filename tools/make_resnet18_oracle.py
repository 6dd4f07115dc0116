"""Writes tests/models/resnet18_oracle.npz: logits of a plain PyTorch ResNet18, laid out as torchvision's.

    python -m venv /tmp/torch && /tmp/torch/bin/pip install torch numpy
    /tmp/torch/bin/python tools/make_resnet18_oracle.py

Its weights and photos are drawn by numpy from a seed, so that the test draws the same ones without PyTorch. The network
below is written from the paper (He et al. 2015) and torchvision's documented names of tensors.
"""

from pathlib import Path

import numpy as np

CLASSES = 10
SIZES = (64, 97)
PHOTOS = 3
BLOCKS = (2, 2, 2, 2)
WIDTHS = (64, 128, 256, 512)
OUT = Path(__file__).parent.parent / "tests" / "models" / "resnet18_oracle.npz"


def seeded_tensors(seed: int = 0) -> dict[str, np.ndarray]:
    """Weights of every tensor by torchvision's name, float32; batch normalization far from its initial state."""
    draw = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}

    def convolution(name: str, out: int, into: int, kernel: int) -> None:
        deviation = np.sqrt(2 / (out * kernel * kernel))
        tensors[f"{name}.weight"] = draw.normal(0, deviation, (out, into, kernel, kernel))

    def norm(name: str, width: int) -> None:
        tensors[f"{name}.weight"] = draw.uniform(0.5, 1.5, width)
        tensors[f"{name}.bias"] = draw.normal(0, 0.2, width)
        tensors[f"{name}.running_mean"] = draw.normal(0, 0.2, width)
        tensors[f"{name}.running_var"] = draw.uniform(0.5, 1.5, width)

    convolution("conv1", 64, 3, 7)
    norm("bn1", 64)
    into = 64
    for stage, (width, count) in enumerate(zip(WIDTHS, BLOCKS, strict=True), start=1):
        for block in range(count):
            name = f"layer{stage}.{block}"
            convolution(f"{name}.conv1", width, into, 3)
            norm(f"{name}.bn1", width)
            convolution(f"{name}.conv2", width, width, 3)
            norm(f"{name}.bn2", width)
            if into != width:
                convolution(f"{name}.downsample.0", width, into, 1)
                norm(f"{name}.downsample.1", width)
            into = width
    tensors["fc.weight"] = draw.normal(0, 0.05, (CLASSES, 512))
    tensors["fc.bias"] = draw.normal(0, 0.05, CLASSES)
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}


def seeded_images(size: int) -> np.ndarray:
    """Scaled images (n, size, size, 3) float32."""
    return np.random.default_rng(size).normal(0, 1, (PHOTOS, size, size, 3)).astype(np.float32)


def main() -> None:
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, into: int, width: int, stride: int):
            super().__init__()
            self.conv1 = nn.Conv2d(into, width, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.downsample = None
            if stride > 1 or into != width:
                self.downsample = nn.Sequential(nn.Conv2d(into, width, 1, stride, bias=False), nn.BatchNorm2d(width))

        def forward(self, x):
            shortcut = x if self.downsample is None else self.downsample(x)
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            return torch.relu(y + shortcut)

    class ResNet18(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
            self.pool = nn.MaxPool2d(3, 2, 1)
            into = 64
            for stage, width in enumerate(WIDTHS, start=1):
                stride = 1 if stage == 1 else 2
                setattr(self, f"layer{stage}", nn.Sequential(Block(into, width, stride), Block(width, width, 1)))
                into = width
            self.fc = nn.Linear(512, CLASSES)

        def forward(self, x):
            x = self.pool(torch.relu(self.bn1(self.conv1(x))))
            for stage in range(1, 5):
                x = getattr(self, f"layer{stage}")(x)
            return self.fc(x.mean((2, 3)))

    weights = {name: torch.from_numpy(tensor) for name, tensor in seeded_tensors().items()}
    logits = {}
    for size in SIZES:
        images = torch.from_numpy(seeded_images(size).transpose(0, 3, 1, 2).copy())
        for mode in ("inference", "training"):
            model = ResNet18()
            missing, unexpected = model.load_state_dict(weights, strict=False)
            assert not unexpected
            assert all(name.endswith("num_batches_tracked") for name in missing)
            model.train(mode == "training")
            with torch.no_grad():
                logits[f"{mode}/{size}"] = model(images).numpy()
    np.savez(OUT, **logits)
    print(
        f"{OUT}: {', '.join(f'{name} {array.std():.3f}' for name, array in logits.items())} (deviation of the logits)"
    )


if __name__ == "__main__":
    main()
