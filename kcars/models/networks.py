"""What is trained: a classifier, or one embedder that a margin classifier and a Siamese network wrap.

Outputs are dicts by target, always float32; pixels are 0..255, uint8 or float.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from kcars.backbones.blocks.applications import auxiliary_head
from kcars.backbones.blocks.layers import CosineLogits, DistanceLogit, EuclideanDistance, L2Normalize, MakeLogits
from kcars.backbones.blocks.residual import batch_norm
from kcars.core.errors import one_of


def classifier(
    backbone: keras.Model, classes: dict[str, int], dropout: float = 0.0, scale: float | None = None
) -> keras.Model:
    """Pixels to {target: logits (n, classes)}; the targets share the features and their dropout.

    scale: logits are then that many times the cosines between the features and one direction a class.
    """
    pixels = pixels_for(backbone)
    features = _dropped(backbone(pixels), dropout)
    if scale:
        features = L2Normalize(name="unit_features")(features)
    # An output layer carries its target's name, so that compile(loss={target: ...}) finds it.
    logits = {target: _head(count, target, scale)(features) for target, count in classes.items()}
    return keras.Model(pixels, logits, name="classifier")


def _dropped(features, dropout: float):
    return layers.Dropout(dropout, dtype="float32", name="dropout")(features) if dropout else features


def _head(classes: int, target: str, scale: float | None = None):
    if scale:
        return CosineLogits(classes, scale, name=target)
    return layers.Dense(classes, dtype="float32", name=target)


def linear_head(network: keras.Model, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (d, classes) and bias (classes,) that make a classifier's logits of the features that its output layer takes."""
    layer = network.get_layer(target)
    if not isinstance(layer, CosineLogits):
        kernel, bias = layer.get_weights()
        return kernel, bias
    directions = layer.get_weights()[0]
    return layer.scale * directions / np.linalg.norm(directions, axis=0), np.zeros(layer.classes, np.float32)


def with_makes(
    classifier: keras.Model, target: str, makes: Sequence[int] | np.ndarray, offsets: Sequence[float] | None = None
) -> keras.Model:
    """What trains a classifier of models whose makes are learned beside: pixels to {target: logits, "make": logits}.

    makes: the number of each model's make; offsets: what the loss adds to models' logits, which makes must then be the sums
    of. Nothing is added that could learn: models and makes cannot contradict.
    """
    logits = classifier.output[target]
    outputs = {target: logits, "make": MakeLogits(makes, offsets, name="make")(logits)}
    return keras.Model(classifier.input, outputs, name=f"trained_{classifier.name}")


def with_auxiliary(backbone: keras.Model, classes: int, target: str, dropout: float = 0.0) -> tuple:
    """(trained, scored): pixels to {target: logits, "auxiliary": logits} for training, and to {target: logits}.

    backbone: gives features and a grid, which an auxiliary head sees too.
    """
    pixels = pixels_for(backbone)
    features, grid = backbone(pixels)
    logits = {target: _head(classes, target)(_dropped(features, dropout))}
    trained = keras.Model(pixels, {**logits, "auxiliary": auxiliary_head(grid, classes)}, name="trained_classifier")
    return trained, keras.Model(pixels, logits, name="classifier")


def uncompiled_stays(model: keras.Model) -> keras.Model:
    """A model of the same layers to compile and train: files of `model`'s weights then hold no optimizer."""
    return keras.Model(model.input, model.output, name=f"trained_{model.name}")


def embedder(backbone: keras.Model, dimensions: int = 512, head: str = "neck") -> keras.Model:
    """Pixels to vectors (n, dimensions), by one of the HEADS: of unit length, but for head "linear"."""
    if head not in HEADS:
        raise one_of("head", head, HEADS)
    pixels = pixels_for(backbone)
    vectors = HEADS[head](backbone(pixels), dimensions)
    return keras.Model(pixels, vectors, name="embedder")


def _neck(features, dimensions: int):
    """Batch normalization (the neck), a linear layer, L2: the paper's Siamese ResNet18."""
    # Features are means: half precision would round them before the neck takes their own mean away.
    centred = batch_norm("neck", dtype="float32")(features)
    return L2Normalize(name="unit_vectors")(layers.Dense(dimensions, dtype="float32", name="projection")(centred))


def _two_layers(features, dimensions: int):
    """A hidden layer as wide as the features before the neck: the paper's Siamese ResNet50."""
    hidden = layers.Dense(features.shape[-1], name="hidden")(features)
    return _neck(layers.ReLU(name="hidden_relu")(batch_norm("hidden_norm")(hidden)), dimensions)


def _linear(features, dimensions: int):
    """A linear layer alone, of no set length: the paper's Siamese EfficientNetB0."""
    return layers.Dense(dimensions, dtype="float32", name="projection")(features)


HEADS = {"neck": _neck, "two_layers": _two_layers, "linear": _linear}


def margin_classifier(embedder: keras.Model, classes: dict[str, int], with_vectors: bool = False) -> keras.Model:
    """Pixels to {target: cosines (n, classes)} for losses with a margin.

    With `with_vectors` also to {"vectors": unit vectors (n, d)}, for losses of all pairs of a batch, which need no classes.
    """
    pixels = pixels_for(embedder)
    vectors = embedder(pixels)
    outputs = {target: CosineLogits(count, name=target)(vectors) for target, count in classes.items()}
    if with_vectors:
        outputs["vectors"] = layers.Identity(dtype="float32", name="vectors")(vectors)
    return keras.Model(pixels, outputs, name="margin_classifier")


def siamese(embedder: keras.Model, logit: bool = False) -> keras.Model:
    """{"left": pixels, "right": pixels} to {"same": Euclidean distance (n,)}, smaller where more alike.

    With `logit`, to {"same": logit (n,)} of the pair being the same, by a learned scale and offset of the distance. In training, left and right pass the batch normalization in turn, each with its own statistics.
    """
    inputs = {side: pixels_for(embedder, side) for side in ("left", "right")}
    sides = embedder(inputs["left"]), embedder(inputs["right"])
    same = EuclideanDistance(name="distance" if logit else "same")(*sides)
    if logit:
        same = DistanceLogit(name="same")(same)
    return keras.Model(inputs, {"same": same}, name="siamese")


def pixels_for(model: keras.Model, name: str = "pixels"):
    """An input of the size that `model` takes."""
    return keras.Input(model.input_shape[1:], dtype="float32", name=name)


def in_float32(model: keras.Model) -> keras.Model:
    """A float32 copy of `model`, of the same weights, whatever the precision it trains in.

    Scores, thresholds and calibration come from this copy. It is not compiled and shares nothing with
    `model`: after further training, `copy.set_weights(model.get_weights())` renews it.
    """
    copy = type(model).from_config(with_float32_policies(model.get_config()))
    copy.set_weights(model.get_weights())
    return copy


def with_float32_policies(config):
    """`config` with each layer's dtype policy replaced; nested models, being layers, are reached too."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return {**config, "config": {**config["config"], "name": "float32"}}
        return {key: with_float32_policies(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(with_float32_policies(value) for value in config)
    return config
