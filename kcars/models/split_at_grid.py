"""Splits a network at a feature map, for Grad-CAM."""

import re

import keras

from kcars.backbones.blocks.residual import POOLED_BY
from kcars.backbones.catalogue import BACKBONES
from kcars.models.networks import head_of


def cut_at_grid(network: keras.Model, last: bool = False) -> tuple[keras.Model, keras.Model]:
    """Splits a classifier or an embedder into two models: pixels to a feature map (n, h, w, c), and feature map to output.

    The feature map has about an eighth of the photo's side, or is the last one with `last` or if the backbone has no such
    feature map. Layers and weights are shared with the network.
    """
    head = head_of(network)
    backbone = next(one for one in network.layers if isinstance(one, keras.Model))
    to_grid, to_features = _cut(backbone, last or _eighth(backbone) is None)
    grid = keras.Input(to_grid.output.shape[1:], name="grid")
    return to_grid, keras.Model(grid, head(to_features(grid)))


def _eighth(backbone: keras.Model) -> str | None:
    record = BACKBONES.get(backbone.name)
    return record and record.heat_grid


def _cut(backbone: keras.Model, last: bool) -> tuple[keras.Model, keras.Model]:
    """Pixels to feature map, feature map to features; Keras applications are nested models in the backbone."""
    pooling = next(layer for layer in backbone.layers if layer.name in POOLED_BY)
    features = backbone.output[0] if isinstance(backbone.output, list) else backbone.output
    if last:
        return keras.Model(backbone.input, pooling.input), keras.Model(pooling.input, features)
    within = next((layer for layer in backbone.layers if isinstance(layer, keras.Model)), None)
    middle = [layer for layer in (within or backbone).layers if re.fullmatch(_eighth(backbone) or "", layer.name)][-1]
    if within is None:
        return keras.Model(backbone.input, middle.output), keras.Model(middle.output, features)
    images = backbone.layers[backbone.layers.index(within) - 1].output
    to_grid = keras.Model(backbone.input, keras.Model(within.input, middle.output)(images))
    end = within.output[0] if isinstance(within.output, list) else within.output
    grid = keras.Input(middle.output.shape[1:])
    return to_grid, keras.Model(grid, pooling(keras.Model(middle.output, end)(grid)))
