"""Residual networks: published sizes, torchvision's padding, names."""

import keras
import numpy as np
import pytest

from kcars.backbones.blocks.residual import convolution, residual_network, scaled_width
from kcars.backbones.build import build_backbone
from kcars.backbones.catalogue import NORMALIZATIONS, Scale, those
from kcars.core.errors import KcarsError
from kcars.models.networks import classifier, embedder


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
    [
        ("resnet18", 75, 11_214_987),
        ("simple_resnet", 431, 11_397_615),
        ("simple_resnet_large", 75, 33_265_715),
        ("simple_resnet_large", 431, 33_493_911),
    ],
)
def test_classifiers_have_the_published_number_of_weights(name, classes, expected):
    assert trainable(classifier(build_backbone(name, 32), {"model": classes})) == expected


def test_embedder_has_the_published_number_of_weights():
    assert trainable(embedder(build_backbone("resnet18", 32))) == 11_440_192


def test_padding_is_the_same_on_both_sides():
    """A 3x3 sum with stride 2 over ones: torchvision's corner sees 4 ones, "same" would see 9 there."""
    images = keras.Input((4, 4, 1))
    model = keras.Model(images, convolution(images, 1, 3, 2, "conv"))
    model.get_layer("conv").set_weights([np.ones((3, 3, 1, 1))])
    sums = model(np.ones((1, 4, 4, 1)))[0, :, :, 0]
    np.testing.assert_array_equal(sums, [[4, 6], [6, 9]])


@pytest.mark.parametrize(("stem", "kernel", "pool"), [("standard", 7, 3), ("compact", 5, 2)])
def test_stems_leave_a_quarter_and_the_network_a_32nd(stem, kernel, pool):
    model = residual_network("small", 64, (8, 8, 16, 16), (1, 1, 1, 1), stem)
    assert model.get_layer("stem_conv").kernel_size == (kernel, kernel)
    assert model.get_layer("stem_pool").pool_size == (pool, pool)
    assert model.get_layer("stem_pool").output.shape == (None, 16, 16, 8)
    assert model.get_layer("stage4_block1_relu2").output.shape == (None, 2, 2, 16)
    assert model.output_shape == (None, 16)


def test_odd_sizes_round_up_as_in_torchvision():
    model = residual_network("small", 97, (8, 8, 16, 16), (1, 1, 1, 1))
    grids = [model.get_layer(f"stage{stage}_block1_relu2").output.shape[1] for stage in (1, 2, 3, 4)]
    assert grids == [25, 13, 7, 4]


def test_projection_stands_where_the_shape_changes_or_where_asked():
    def projected(**settings):
        model = residual_network("small", 32, (8, 16), (2, 2), **settings)
        return [layer.name for layer in model.layers if layer.name.endswith("_project")]

    assert projected() == ["stage2_block1_project"]
    assert projected(project_first=True) == ["stage1_block1_project", "stage2_block1_project"]
    assert projected(stem_width=16) == ["stage1_block1_project", "stage2_block1_project"]


def test_initial_weights_have_the_variance_of_fan_out():
    model = residual_network("small", 32, (64, 64), (1, 1))
    kernel = model.get_layer("stage1_block1_conv2").get_weights()[0]
    np.testing.assert_allclose(kernel.var(), 2 / (9 * 64), rtol=0.05)


@pytest.mark.parametrize("name", those("scalable"))
def test_every_layer_has_a_name_of_its_own_choosing(name):
    names = [layer.name for layer in build_backbone(name, 32, scale=Scale(0.125)).layers]
    automatic = (
        "conv2d",
        "batch_normalization",
        "re_lu",
        "zero_padding2d",
        "add",
        "functional",
        "pixel_scaling",
    )
    assert not [found for found in names if found.startswith(automatic)]


def test_pixels_are_scaled_inside_for_bytes_and_floats_alike():
    model = build_backbone("resnet18", 32, scale=Scale(0.125))
    scaling = keras.Model(model.input, model.get_layer("scaling").output)
    mean, std = NORMALIZATIONS["compcars"]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("uint8")
    expected = (pixels / 255 - np.array(mean)) / np.array(std)
    np.testing.assert_allclose(scaling(pixels), expected, atol=1e-5)
    np.testing.assert_allclose(scaling(pixels + 0.5), expected + 0.5 / 255 / np.array(std), atol=1e-5)


def test_width_multiplies_every_width_by_eights():
    assert [scaled_width(64, width) for width in (1.0, 0.5, 0.25, 0.01)] == [64, 32, 16, 8]
    assert build_backbone("resnet18", 32, scale=Scale(0.5)).output_shape == (None, 256)
    large = build_backbone("simple_resnet_large", 32, scale=Scale(0.5))
    assert large.get_layer("stem_conv").filters == 24 and large.output_shape == (None, 320)


def test_unknown_names_list_the_known():
    with pytest.raises(KcarsError, match="resnet19.*resnet18, resnet50, simple_resnet, simple_resnet_large"):
        build_backbone("resnet19", 32)
    with pytest.raises(KcarsError, match="standard, compact"):
        build_backbone("resnet18", 32, Scale(stem="big"))
    with pytest.raises(KcarsError, match="compcars, imagenet, half"):
        build_backbone("resnet18", 32, normalization="none")
    with pytest.raises(KcarsError, match="not above 0"):
        build_backbone("resnet18", 32, scale=Scale(0))
