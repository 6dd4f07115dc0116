"""The stages of a backbone, from the photo on: what fine-tuning freezes and thaws."""

import re

import keras

# A stage is all layers of one grid size, but for EfficientNet's, which are its blocks. InceptionV3's layers are numbered.
_RESIDUAL = [r"stem_", r"stage1_", r"stage2_", r"stage3_", r"stage4_"]
_STAGES = {
    "resnet18": _RESIDUAL,
    "simple_resnet": _RESIDUAL,
    "simple_resnet_large": _RESIDUAL,
    "resnet50": [r"conv1_", r"conv2_", r"conv3_", r"conv4_", r"conv5_"],
    "efficientnet_b0": [r"stem_", *(rf"block{number}" for number in range(1, 7)), r"block7|top_"],
}
_INCEPTION_ENDS = (5, 26, 70, 94)  # The last convolution on the way to 35x35, of 35x35, of 17x17, of 8x8.


def stages(backbone: keras.Model) -> list[list[keras.layers.Layer]]:
    """Layers with weights by stage; `settings.STAGES` has their number."""
    found = [[] for _ in range(len(_STAGES.get(backbone.name, _INCEPTION_ENDS)))]
    for layer in _leaves(backbone):
        if layer.weights:
            found[_stage(backbone.name, layer.name)].append(layer)
    return found


def _leaves(model: keras.Model):
    for layer in model.layers:
        yield from _leaves(layer) if isinstance(layer, keras.Model) else [layer]


def _stage(backbone: str, layer: str) -> int:
    if layer == "gem":
        return len(_STAGES.get(backbone, _INCEPTION_ENDS)) - 1
    if backbone == "inception_v3":
        number = int(layer.rpartition("_")[2])
        return next(stage for stage, end in enumerate(_INCEPTION_ENDS) if number <= end)
    return next(stage for stage, pattern in enumerate(_STAGES[backbone]) if re.match(pattern, layer))
