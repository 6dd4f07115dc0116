"""A network in two, at a grid of features that all it answers goes through: what tells where it looked."""

import re

import keras

from kcars.backbones.blocks.residual import POOLED_BY
from kcars.backbones.catalogue import BACKBONES


def cut_at_grid(network: keras.Model, last: bool = False) -> tuple[keras.Model, keras.Model]:
    """A classifier or an embedder as two models: pixels to a grid of features (n, h, w, c), and that to the network's output.

    The grid has about an eighth of the photo's side; with `last`, and for a backbone without such a grid, it is the last one. Layers,
    and so weights, are the network's own.
    """
    place, backbone = next((place, one) for place, one in enumerate(network.layers) if isinstance(one, keras.Model))
    head = keras.Model(network.layers[place + 1].input, network.output)
    to_grid, to_features = _cut(backbone, last or _eighth(backbone) is None)
    grid = keras.Input(to_grid.output.shape[1:], name="grid")
    return to_grid, keras.Model(grid, head(to_features(grid)))


def _eighth(backbone: keras.Model) -> str | None:
    record = BACKBONES.get(backbone.name)
    return record and record.heat_grid


def _cut(backbone: keras.Model, last: bool) -> tuple[keras.Model, keras.Model]:
    """Pixels to grid, grid to features; Keras applications are a model of their own within the backbone."""
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
