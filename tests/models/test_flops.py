"""Multiply-adds against the figures that the field gives for its networks."""

import keras
import pytest
from keras import layers

from kcars.backbones.build import build_backbone
from kcars.backbones.catalogue import Scale
from kcars.models.flops import multiply_adds
from kcars.models.networks import classifier


@pytest.mark.parametrize(
    ("name", "size_px", "published"),
    # torchvision's documentation; Keras' ResNet50 strides earlier than torchvision's (4.09).
    [
        ("resnet18", 224, 1.814e9), ("resnet50", 224, 3.858e9), ("efficientnet_b0", 224, 0.386e9), ("inception_v3", 299, 5.713e9),
        ("convnext_tiny", 224, 4.456e9), ("mobilenet_v3_large", 224, 0.217e9 - 2.5e6),  # Without the layers after pooling.
    ],
)  # fmt: skip
def test_backbones_compute_what_is_published(name, size_px, published):
    assert multiply_adds(build_backbone(name, size_px)) == pytest.approx(published, rel=0.01)


def test_a_transformer_computes_its_layers_at_every_token_and_the_attention_between_them():
    tokens, width = 1 + 4 + 2 * 2, 384
    block = tokens * (4 + 8) * width**2 + 2 * tokens**2 * width
    patches = 4 * width * 3 * 14**2
    assert multiply_adds(build_backbone("dinov2_small", 28)) == 12 * block + patches


def test_heads_and_groups_count():
    backbone = build_backbone("resnet18", 32, Scale(0.125))
    assert multiply_adds(classifier(backbone, {"model": 10})) == multiply_adds(backbone) + 64 * 10
    grouped = keras.Sequential([keras.Input((8, 8, 4)), layers.Conv2D(6, 3, groups=2, padding="same")])
    assert multiply_adds(grouped) == 8 * 8 * 6 * 9 * 2
