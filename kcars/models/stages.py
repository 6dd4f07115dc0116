"""The stages of a backbone, from the photo on: what fine-tuning freezes and thaws."""

import keras

from kcars.backbones.catalogue import BACKBONES


def stages(backbone: keras.Model) -> list[list[keras.layers.Layer]]:
    """Layers with weights by stage, of a model that `build_backbone` made."""
    record = BACKBONES[backbone.name]
    found = [[] for _ in record.stages]
    for layer in _leaves(backbone):
        if layer.weights:
            found[record.stage(layer.name)].append(layer)
    return found


def _leaves(model: keras.Model):
    for layer in model.layers:
        yield from _leaves(layer) if isinstance(layer, keras.Model) else [layer]
