"""Backbones of Keras applications: sizes of the paper's tables, scaling, heads, one step."""

import keras
import numpy as np
import pytest

from kcars.backbones.blocks.applications import application
from kcars.backbones.build import build_backbone
from kcars.backbones.catalogue import Scale
from kcars.core.errors import KcarsError
from kcars.models.networks import embedder, siamese, with_auxiliary
from kcars.objectives.losses import build_loss

PHOTOS = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype(np.uint8)


def test_the_auxiliary_head_sees_the_17_pixel_grid():
    trained, scored = with_auxiliary(build_backbone("inception_v3", 299, grid=True), 75, "make")
    assert trained.get_layer("auxiliary_pool").input.shape == (None, 17, 17, 768)
    assert scored.count_params() < trained.count_params() - 2_400_000


@pytest.mark.parametrize(("name", "kind"), [("inception_v3", "half"), ("resnet50", "caffe")])
def test_keras_own_preparation_is_what_the_scaling_does(name, kind):
    scaling = build_backbone(name, 96, normalization=kind).get_layer("scaling")
    prepare = getattr(keras.applications, name.removesuffix("50")).preprocess_input
    assert np.allclose(scaling(PHOTOS), prepare(PHOTOS.astype(np.float32)), atol=1e-3)


def test_efficientnet_takes_scaled_images():
    backbone = build_backbone("efficientnet_b0", 96, normalization="imagenet")
    inner = backbone.get_layer("features")
    images = backbone.get_layer("scaling")(PHOTOS)
    seen = keras.Model(inner.input, inner.get_layer("normalization_1").output)(images)
    assert np.allclose(seen, images)


@pytest.mark.parametrize("name", ["InceptionV3", "ResNet50", "EfficientNetB0"])
def test_names_are_the_same_whatever_was_built_before(name):
    first = [weight.path for weight in application(name, 96).weights]
    keras.layers.Conv2D(1, 1)
    assert [weight.path for weight in application(name, 96).weights] == first
    assert len(set(first)) == len(first)


@pytest.mark.parametrize(("name", "head"), [("resnet50", "two_layers"), ("efficientnet_b0", "linear")])
def test_a_siamese_step_is_finite(name, head):
    model = siamese(embedder(build_backbone(name, 96), 16, head))
    # Eagerly: tracing so many layers takes longer than running them once.
    model.compile(keras.optimizers.AdamW(1e-4), {"same": build_loss("contrastive")}, run_eagerly=True)
    loss = model.train_on_batch({"left": PHOTOS, "right": PHOTOS[::-1]}, {"same": np.array([1.0, 0.0])})
    assert np.isfinite(loss)


def test_an_inception_step_learns_both_heads_and_only_one_is_scored():
    trained, scored = with_auxiliary(build_backbone("inception_v3", 96, grid=True), 3, "make")
    losses = {name: build_loss("cross_entropy") for name in ("make", "auxiliary")}
    weights = {"make": 1.0, "auxiliary": 0.4}
    trained.compile(keras.optimizers.AdamW(1e-3), losses, loss_weights=weights, run_eagerly=True)
    before = {layer.name: layer.get_weights()[0] for layer in trained.layers if layer.name in losses}
    labels = np.array([0, 2])
    total, *each = trained.train_on_batch(PHOTOS, {"make": labels, "auxiliary": labels})
    assert total == pytest.approx(each[1] + 0.4 * each[0]) or total == pytest.approx(each[0] + 0.4 * each[1])
    for name, weights in before.items():
        assert (trained.get_layer(name).get_weights()[0] != weights).any()
    assert list(scored.output) == ["make"]
    assert "auxiliary" not in [layer.name for layer in scored.layers]


def test_what_does_not_fit_is_one_line():
    with pytest.raises(KcarsError, match="data.size_px: 64 is too small for inception_v3, which needs at least 75"):
        build_backbone("inception_v3", 64)
    with pytest.raises(KcarsError, match="model.auxiliary: resnet50 has no auxiliary head"):
        build_backbone("resnet50", 96, grid=True)
    with pytest.raises(KcarsError, match="head: 'tail' is not known"):
        embedder(build_backbone("resnet18", 32, scale=Scale(0.125)), head="tail")
