"""The stages of a backbone, in order from the input, which fine-tuning freezes and unfreezes."""

import keras

from kcars.backbones.blocks.normalized_convolution import NormalizedConvolution
from kcars.backbones.catalogue import BACKBONES


def stages(backbone: keras.Model) -> list[list[keras.layers.Layer]]:
    """Layers with weights of each stage, for a model from `build_backbone`."""
    record = BACKBONES[backbone.name]
    found = [[] for _ in record.stages]
    for layer in _leaves(backbone):
        if layer.weights:
            found[record.stage(layer.name)].append(layer)
    return found


def _leaves(model: keras.Model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield from (layer.convolution, layer.norm) if isinstance(layer, NormalizedConvolution) else (layer,)
