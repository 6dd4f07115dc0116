"""Weights from files into backbones: a plain PyTorch ResNet18's, ours, Keras', and all that do not fit."""

import importlib.util
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from kcars.backbones.build import build_backbone
from kcars.backbones.catalogue import BACKBONES, NORMALIZATIONS, ApplicationFile, Scale
from kcars.core.errors import KcarsError
from kcars.models import weights as module
from kcars.models.networks import classifier
from kcars.models.weights import copy_weights, load

HERE = Path(__file__).parent
TRIED = ["resnet18", "simple_resnet_large", "inception_v3", "resnet50", "efficientnet_b0"]


def tool():
    path = HERE.parents[1] / "tools" / "make_resnet18_oracle.py"
    spec = importlib.util.spec_from_file_location("make_resnet18_oracle", path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


ORACLE = tool()


def small(name, seed=0):
    keras.utils.set_random_seed(seed)
    residual = name in ("resnet18", "simple_resnet_large")
    return build_backbone(name, 96, scale=Scale(0.125 if residual else 1.0))


@cache
def large(name):
    """One for all files that are refused, which change nothing: its hundreds of layers take seconds to build."""
    return small(name)


def wandered(backbone):
    """The backbone with weights that no initializer gives."""
    draw = np.random.default_rng(1)
    backbone.set_weights([(w + draw.uniform(0.1, 0.2, w.shape)).astype(w.dtype) for w in backbone.get_weights()])
    return backbone


def same(one, other) -> bool:
    return all((a == b).all() for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def saved(backbone, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file({"/".join(w.path.split("/")[-2:]): np.asarray(w) for w in backbone.weights}, path)
    elif path.suffix == ".keras":
        backbone.save(path)
    else:
        backbone.save_weights(path)
    return path


@pytest.mark.parametrize("size", ORACLE.SIZES)
@pytest.mark.parametrize("mode", ["inference", "training"])
def test_resnet18_with_pytorchs_weights_gives_pytorchs_logits(tmp_path, size, mode):
    tensors = ORACLE.seeded_tensors()
    save_file(tensors, tmp_path / "torch.safetensors")
    backbone = build_backbone("resnet18", size)
    load(backbone, str(tmp_path / "torch.safetensors"))
    inside = keras.Model(backbone.get_layer("scaling").output, backbone.output)  # The oracle's images are scaled.
    features = np.asarray(inside(ORACLE.seeded_images(size), training=mode == "training"))
    logits = features @ tensors["fc.weight"].T + tensors["fc.bias"]
    np.testing.assert_allclose(logits, np.load(HERE / "resnet18_oracle.npz")[f"{mode}/{size}"], atol=1e-3)


@pytest.fixture(scope="module", params=TRIED)
def alike(request):
    """A backbone that has wandered, and its like with the weights that it begins with."""
    source, target = wandered(small(request.param)), small(request.param, seed=5)
    return source, target, target.get_weights()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".safetensors", ".weights.h5", ".keras"])
def test_a_file_of_a_backbone_loads_into_its_like(tmp_path, alike, suffix):
    source, target, weights = alike
    target.set_weights(weights)  # Another format's file was loaded into it before.
    assert not same(source, target)
    path = saved(source, tmp_path / f"mine{suffix}")
    facts = load(target, str(path))
    assert same(source, target)
    assert facts["file"] == str(path)
    assert len(facts["sha256"]) == 64


def test_a_keras_file_may_hold_a_whole_classifier(tmp_path):
    source = wandered(small("resnet18"))
    classifier(source, {"model": 5}).save(tmp_path / "whole.keras")
    target = small("resnet18", seed=5)
    load(target, str(tmp_path / "whole.keras"))
    assert same(source, target)


@pytest.mark.parametrize("suffix", [".safetensors", ".weights.h5", ".keras"])
def test_a_wrong_network_is_refused_by_layer_and_changes_nothing(tmp_path, suffix):
    wider = build_backbone("resnet18", 96, scale=Scale(0.25))
    path = saved(wider, tmp_path / f"wider{suffix}")
    target = small("resnet18")
    before = small("resnet18")
    with pytest.raises(KcarsError, match="stem_conv") as error:
        load(target, str(path))
    assert str(path) in str(error.value)
    assert same(before, target)
    with pytest.raises(KcarsError, match="efficientnet_b0"):
        load(large("efficientnet_b0"), str(path))


def test_a_pytorch_file_with_a_tensor_missing_is_refused_by_layer(tmp_path):
    tensors = ORACLE.seeded_tensors()
    del tensors["layer2.0.downsample.1.bias"]
    save_file(tensors, tmp_path / "torch.safetensors")
    with pytest.raises(
        KcarsError, match="layer2.0.downsample.1.bias is missing, which layer stage2_block1_project_norm"
    ):
        load(build_backbone("resnet18", 32), str(tmp_path / "torch.safetensors"))


@pytest.mark.parametrize("suffix", [".safetensors", ".weights.h5", ".keras"])
def test_a_file_that_is_none_is_one_line(tmp_path, suffix):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(b"\x80\x04no weights at all")
    with pytest.raises(KcarsError) as error:
        load(small("resnet18"), str(path))
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_pickles_and_missing_files_are_not_read(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"")
    with pytest.raises(KcarsError, match="neither none nor imagenet nor a run folder nor a .safetensors"):
        load(small("resnet18"), str(tmp_path / "a.pt"))
    with pytest.raises(KcarsError, match="does not exist"):
        load(small("resnet18"), str(tmp_path / "a.keras"))


def test_an_error_that_says_nothing_is_named_by_its_class(tmp_path, monkeypatch):
    small("resnet18").save(tmp_path / "large.keras")

    def short_of_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr(keras.saving, "load_model", short_of_memory)
    with pytest.raises(KcarsError, match=r"large.keras: cannot be loaded as .keras \(MemoryError\)"):
        load(small("resnet18"), str(tmp_path / "large.keras"))


def test_code_in_a_keras_file_is_not_run(tmp_path):
    pixels = keras.Input((96, 96, 3))
    keras.Model(pixels, keras.layers.Lambda(lambda x: x)(pixels)).save(tmp_path / "code.keras")
    with pytest.raises(KcarsError, match="cannot be loaded as .keras"):
        load(small("resnet18"), str(tmp_path / "code.keras"))


@pytest.mark.parametrize("name", ["inception_v3", "resnet50", "efficientnet_b0", "mobilenet_v3_large", "convnext_tiny"])
def test_imagenet_without_network_says_which_file_to_get(tmp_path, monkeypatch, name):
    def no_network(*arguments, **settings):
        raise OSError("no route")

    backbone = large(name)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.applications, BACKBONES[name].imagenet.application, no_network)
    with pytest.raises(KcarsError) as error:
        load(backbone, "imagenet")
    assert BACKBONES[name].imagenet.page in str(error.value)
    assert f"put it into {tmp_path / 'models'}" in str(error.value)


def test_imagenet_files_are_those_that_keras_gets():
    from keras.src.applications import convnext, efficientnet, inception_v3, mobilenet_v3, resnet

    files = {name: one.imagenet.page for name, one in BACKBONES.items() if isinstance(one.imagenet, ApplicationFile)}
    assert files["inception_v3"] == inception_v3.WEIGHTS_PATH_NO_TOP
    assert files["resnet50"].startswith(resnet.BASE_WEIGHTS_PATH)
    assert files["efficientnet_b0"].startswith(efficientnet.BASE_WEIGHTS_PATH)
    assert files["mobilenet_v3_large"].startswith(mobilenet_v3.BASE_WEIGHT_PATH)
    assert files["convnext_tiny"].startswith(convnext.BASE_WEIGHTS_PATH)


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "convnext_tiny"])
def test_keras_weights_in_layers_of_ours_give_what_keras_gives(tmp_path, monkeypatch, name):
    from keras.src.applications import convnext, mobilenet_v3

    official = getattr(keras.applications, BACKBONES[name].imagenet.application)
    whole = official(weights=None, include_top=False, input_shape=(64, 64, 3))
    draw = np.random.default_rng(0)
    whole.set_weights([array + draw.uniform(0, 0.1, array.shape) for array in whole.get_weights()])
    whole.save_weights(tmp_path / "file.weights.h5")
    for library in (convnext, mobilenet_v3):
        monkeypatch.setattr(library.file_utils, "get_file", lambda *a, **k: str(tmp_path / "file.weights.h5"))
    monkeypatch.setattr(module, "_facts", lambda path: {"file": path.name})
    backbone = build_backbone(name, 64, normalization=BACKBONES[name].normalization)
    assert BACKBONES[name].imagenet.page.endswith(load(backbone, "imagenet")["file"])
    photos = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3)).astype(np.float32)
    grid = keras.Model(backbone.input, backbone.get_layer("average").input)(photos)
    if name == "convnext_tiny":  # Keras normalizes each position of the feature map, ours its mean.
        whole = keras.Model(whole.input, whole.layers[-1].input)
    expected = np.asarray(whole(photos))
    assert expected.std() > 0.01
    np.testing.assert_allclose(grid, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_resnet18_of_imagenet_comes_from_the_hub_as_safetensors(tmp_path, monkeypatch):
    import huggingface_hub

    asked, path = [], tmp_path / "model.safetensors"
    save_file(ORACLE.seeded_tensors(), path)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *what: asked.append(what) or str(path))
    backbone = build_backbone("resnet18", 32)
    load(backbone, "imagenet")
    assert asked == [("timm/resnet18.tv_in1k", "model.safetensors")]
    kernel = np.asarray(backbone.get_layer("stem_conv").kernel)
    assert (kernel == ORACLE.seeded_tensors()["conv1.weight"].transpose(2, 3, 1, 0)).all()

    def offline(*what):
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(
        KcarsError, match=r"https://huggingface.co/timm/resnet18.tv_in1k/resolve/main/model.safetensors"
    ):
        load(backbone, "imagenet")
    with pytest.raises(KcarsError, match="simple_resnet has none"):
        load(build_backbone("simple_resnet", 32, scale=Scale(0.125)), "imagenet")


@pytest.mark.parametrize("right", [True, False])
def test_efficientnet_of_imagenet_sees_what_keras_shows_it(tmp_path, monkeypatch, right):
    """Keras' graph for its file normalizes by layers of its own, and once more; ours by the scaling before it."""
    from keras.src.applications import efficientnet

    mean, deviation = (np.array(values) for values in NORMALIZATIONS["imagenet"])
    whole = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(96, 96, 3))
    whole.get_layer(index=2).set_weights([mean, deviation if right else deviation**2, np.array(0)])
    whole.save_weights(tmp_path / "file.weights.h5")
    monkeypatch.setattr(efficientnet.file_utils, "get_file", lambda *a, **k: str(tmp_path / "file.weights.h5"))
    monkeypatch.setattr(module, "_facts", lambda path: {})
    backbone = build_backbone("efficientnet_b0", 96, normalization="imagenet")
    if not right:
        with pytest.raises(KcarsError, match="differs from normalization imagenet"):
            load(backbone, "imagenet")
        return
    load(backbone, "imagenet")
    official = keras.applications.EfficientNetB0(weights="imagenet", include_top=False, input_shape=(96, 96, 3))
    photos = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype(np.float32)
    inner, images = backbone.get_layer("features"), backbone.get_layer("scaling")(photos)
    for layer in ("stem_conv", "block2a_dwconv"):
        expected = keras.Model(official.input, official.get_layer(layer).output)(photos)
        found = keras.Model(inner.input, inner.get_layer(layer).output)(images)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
        assert np.std(expected) > 0.01


def test_a_generalized_mean_begins_as_it_is_where_weights_have_another_pooling():
    source = wandered(small("resnet18"))
    backbone = build_backbone("resnet18", 96, scale=Scale(0.125), pooling="gem")
    copy_weights(source, backbone, Path("run"))
    assert float(backbone.get_layer("gem").power) == 3.0
    last = "stage4_block2_conv2"
    assert same(backbone.get_layer(last), source.get_layer(last))
    other = build_backbone("resnet18", 96, scale=Scale(0.125), pooling="gem")
    backbone.get_layer("gem").power.assign(2.0)
    copy_weights(backbone, other, Path("run"))
    assert float(other.get_layer("gem").power) == 2.0


@pytest.mark.parametrize("name", ["resnet50", "inception_v3", "efficientnet_b0"])
def test_weights_of_a_torch_resnet18_for_another_backbone_are_one_line(tmp_path, name):
    save_file(ORACLE.seeded_tensors(), tmp_path / "torch.safetensors")
    with pytest.raises(KcarsError, match=rf"torch\.safetensors: .*conv.* of {name} needs"):
        load(large(name), str(tmp_path / "torch.safetensors"))
