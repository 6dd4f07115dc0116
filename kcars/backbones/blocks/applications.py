"""Keras applications without their heads, as backbones, and an auxiliary head."""

import re

import keras
from keras import layers

from kcars.backbones.blocks.fused_batch_norm import BatchNormalization
from kcars.backbones.blocks.swish import Swish


def application(name: str, size_px: int | None, middle: str | None = None) -> keras.Model:
    """A network of `keras.applications`, by name, from scaled images (n, size_px, size_px, 3) to its last feature map.

    middle: a layer whose feature map is a second output. Weights are random. Layers that InceptionV3 leaves unnamed are named by
    kind and number, the same in every process. EfficientNetB0's own scaling is left out: images are already scaled, and its
    normalization would keep old constants when weights are copied.
    """
    build = getattr(keras.applications, name)
    whole = build(weights=None, include_top=False, input_shape=(size_px, size_px, 3))
    names = stable_names(whole)

    def renamed(layer):
        if isinstance(layer, (layers.Rescaling, layers.Normalization)):
            return layers.Identity(name=names[layer.name])
        if isinstance(layer, layers.Activation) and layer.activation is keras.activations.silu:
            return Swish(name=names.get(layer.name, layer.name))
        kind = BatchNormalization if isinstance(layer, layers.BatchNormalization) else type(layer)
        return kind.from_config({**layer.get_config(), "name": names.get(layer.name, layer.name)})

    model = keras.models.clone_model(whole, clone_function=renamed)
    outputs = [model.output, model.get_layer(middle).output] if middle else model.output
    return keras.Model(model.input, outputs, name="features")


def stable_names(model: keras.Model) -> dict[str, str]:
    """Maps automatic layer names, which are numbered per process, to names numbered within the model."""
    counts: dict[str, int] = {}
    names = {}
    for layer in model.layers:
        kind = re.sub(r"_\d+$", "", layer.name)
        if kind.replace("_", "") == type(layer).__name__.lower():
            counts[kind] = counts.get(kind, 0) + 1
            names[layer.name] = f"{kind}_{counts[kind]}"
    return names


def auxiliary_head(grid, classes: int):
    """Logits (n, classes) from a 17x17x768 grid, as in GoogLeNet's descendants (Szegedy et al. 2015, arXiv 1512.00567).

    Architecture as in torchvision: 5x5 average pooling with stride 3, 1x1 convolution, 5x5 convolution, global average pooling.
    """
    x = layers.AveragePooling2D(min(5, grid.shape[1]), strides=3, name="auxiliary_pool")(grid)
    for number, (width, kernel) in enumerate(((128, 1), (768, min(5, x.shape[1]))), start=1):  # Smaller below 299 px.
        x = layers.Conv2D(width, kernel, use_bias=False, name=f"auxiliary_conv{number}")(x)
        x = BatchNormalization(epsilon=1e-3, momentum=0.9, name=f"auxiliary_norm{number}")(x)
        x = layers.ReLU(name=f"auxiliary_relu{number}")(x)
    x = layers.GlobalAveragePooling2D(dtype="float32", name="auxiliary_average")(x)
    return layers.Dense(classes, dtype="float32", name="auxiliary")(x)
