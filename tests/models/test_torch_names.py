"""Backbones with weights in PyTorch's names give the features of PyTorch's official implementations, in every precision."""

import json
from functools import cache

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file
from support.paths import ROOT
from support.runs import load_tool

from kcars.backbones.build import build_backbone
from kcars.backbones.catalogue import BACKBONES
from kcars.core.errors import KcarsError
from kcars.models.torch_names import as_keras
from kcars.models.weights import load

ORACLES = load_tool("make_torch_oracles")
STORED = np.load(ROOT / "tests/models/torch_oracles.npz")
SHAPES = json.loads(str(STORED["shapes"]))
CASES = [(name, size) for name, sizes in ORACLES.SIZES.items() for size in sizes]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A backbone with the seeded weights of an oracle, by its name and a size."""
    folder = tmp_path_factory.mktemp("torch")

    @cache
    def built(name: str, size: int | None) -> keras.Model:
        backbone, file = name.partition("/")[0], folder / f"{name.replace('/', '-')}.safetensors"
        if not file.exists():
            save_file(ORACLES.seeded_tensors(SHAPES[name]), file)
        model = build_backbone(
            backbone, size or 64, normalization=BACKBONES[backbone].normalization, any_size=size is None
        )
        load(model, str(file))
        return keras.Model(model.get_layer("scaling").output, model.output)  # The oracle's images are scaled.

    return lambda name, size: built(name, size if BACKBONES[name.partition("/")[0]].multiple_px > 1 else None)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), CASES)
def test_its_features_are_those_of_pytorch(loaded, name, size):
    expected = STORED[f"{name}/{size}"]
    assert expected.std() > 0.1
    np.testing.assert_allclose(loaded(name, size)(ORACLES.seeded_images(size)), expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("convnext_tiny/timm", 64), ("dinov2_small/transformers", 56)])
def test_features_in_half_precision_are_near(loaded, name, size):
    exact, before = loaded(name, size), keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = build_backbone(name.partition("/")[0], size, normalization="imagenet")
    finally:
        keras.config.set_dtype_policy(before)
    half.set_weights(exact.get_weights())
    half = keras.Model(half.get_layer("scaling").output, half.output)
    found, expected = np.asarray(half(ORACLES.seeded_images(size))), STORED[f"{name}/{size}"]
    assert found.dtype == np.float32
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99


def test_torchvisions_mobilenet_is_refused_for_its_padding(tmp_path):
    save_file({"features.1.block.0.0.weight": np.zeros((16, 1, 3, 3), np.float32)}, tmp_path / "file.safetensors")
    with pytest.raises(
        KcarsError, match=r"file.safetensors: has torchvision's MobileNetV3, .*tf_mobilenetv3_large_100"
    ):
        load(build_backbone("mobilenet_v3_large", 32), str(tmp_path / "file.safetensors"))


@pytest.mark.parametrize(
    ("shape", "layer", "expected"),
    [
        ((5, 3), "dense", (3, 5)),
        ((5, 3, 2, 4), "conv", (2, 4, 3, 5)),
        ((5, 1, 2, 4), "block1_depthwise", (2, 4, 5, 1)),
        ((5, 1, 1), "scale", (5,)),
        ((1, 4, 3), "tokens", (1, 4, 3)),
        ((5,), "norm", (5,)),
    ],
)
def test_layouts_are_those_of_keras(shape, layer, expected):
    assert as_keras(np.zeros(shape), layer).shape == expected


def test_dinov2_without_network_says_which_file_to_get(monkeypatch):
    import huggingface_hub

    def offline(*what):
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(
        KcarsError, match=r"https://huggingface.co/facebook/dinov2-with-registers-small/resolve/main/model.safetensors"
    ):
        load(build_backbone("dinov2_small", 28), "imagenet")


def test_dinov2_takes_photos_of_whole_patches_and_of_one_size():
    with pytest.raises(KcarsError, match="data.size_px: 50 is not a multiple of 14, which dinov2_small needs"):
        build_backbone("dinov2_small", 50)
    with pytest.raises(KcarsError, match="data.first_px: dinov2_small does not support progressive resizing"):
        build_backbone("dinov2_small", 56, any_size=True)
