"""Builds the trained networks: a classifier, or an embedder inside a margin classifier or a Siamese network.

Outputs are dicts keyed by target, always float32; pixels are 0..255, uint8 or float.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from kcars.backbones.blocks.applications import auxiliary_head
from kcars.backbones.blocks.layers import (
    CosineLogits,
    DistanceLogit,
    EuclideanDistance,
    L2Normalize,
    MakeLogits,
    SignedSquareRoot,
)
from kcars.backbones.blocks.residual import batch_norm
from kcars.core.errors import KcarsError, one_of


def classifier(
    backbone: keras.Model,
    classes: dict[str, int],
    dropout: float = 0.0,
    scale: float | None = None,
    square_root: bool = False,
) -> keras.Model:
    """Model from pixels to {target: logits (n, classes)}; the targets share features and dropout.

    scale: if given, logits are `scale` times the cosine between the features and one direction per class; square_root: of the
    features first.
    """
    pixels = pixels_for(backbone)
    features = _dropped(_rooted(backbone(pixels), square_root), dropout)
    if scale:
        features = L2Normalize(name="unit_features")(features)
    # An output layer carries its target's name, so that compile(loss={target: ...}) finds it.
    logits = {target: _head(count, target, scale)(features) for target, count in classes.items()}
    return keras.Model(pixels, logits, name="classifier")


def _rooted(features, square_root: bool):
    return SignedSquareRoot(name="square_root")(features) if square_root else features


def _dropped(features, dropout: float):
    return layers.Dropout(dropout, dtype="float32", name="dropout")(features) if dropout else features


def _head(classes: int, target: str, scale: float | None = None):
    if scale:
        return CosineLogits(classes, scale, name=target)
    return layers.Dense(classes, dtype="float32", name=target)


def linear_head(network: keras.Model, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (d, classes) and bias (classes,) of a classifier's output layer."""
    layer = network.get_layer(target)
    if not isinstance(layer, CosineLogits):
        kernel, bias = layer.get_weights()
        return kernel, bias
    directions = layer.get_weights()[0]
    return layer.scale * directions / np.linalg.norm(directions, axis=0), np.zeros(layer.classes, np.float32)


def with_makes(
    classifier: keras.Model, target: str, makes: Sequence[int] | np.ndarray, offsets: Sequence[float] | None = None
) -> keras.Model:
    """Training model with a second output for the make: pixels to {target: logits, "make": logits}.

    makes: the make number of each model; offsets: added to the models' logits by the loss, and therefore also before they are
    summed by make. No weights are added: predictions of model and make are always consistent.
    """
    logits = classifier.output[target]
    outputs = {target: logits, "make": MakeLogits(makes, offsets, name="make")(logits)}
    return keras.Model(classifier.input, outputs, name=f"trained_{classifier.name}")


def with_auxiliary(
    backbone: keras.Model, classes: int, target: str, dropout: float = 0.0
) -> tuple[keras.Model, keras.Model]:
    """(training model, scoring model): pixels to {target: logits, "auxiliary": logits}, and to {target: logits}.

    backbone: outputs features and a feature map, the input of the auxiliary head.
    """
    pixels = pixels_for(backbone)
    features, grid = backbone(pixels)
    logits = {target: _head(classes, target)(_dropped(features, dropout))}
    trained = keras.Model(pixels, {**logits, "auxiliary": auxiliary_head(grid, classes)}, name="trained_classifier")
    return trained, keras.Model(pixels, logits, name="classifier")


def uncompiled_stays(model: keras.Model) -> keras.Model:
    """A model of the same layers to compile and train, so that weight files of `model` contain no optimizer."""
    return keras.Model(model.input, model.output, name=f"trained_{model.name}")


def embedder(
    backbone: keras.Model, dimensions: int = 512, head: str = "neck", square_root: bool = False
) -> keras.Model:
    """Model from pixels to embeddings (n, dimensions) with one of the HEADS; L2-normalized except for head "linear".

    square_root: of the backbone's features first.
    """
    if head not in HEADS:
        raise one_of("head", head, HEADS)
    pixels = pixels_for(backbone)
    vectors = HEADS[head](_rooted(backbone(pixels), square_root), dimensions)
    return keras.Model(pixels, vectors, name="embedder")


def _neck(features, dimensions: int):
    """Batch normalization (the neck), linear layer, L2 normalization: the paper's Siamese ResNet18."""
    # Features are means: half precision would round them before the neck subtracts their mean.
    centred = batch_norm("neck", dtype="float32")(features)
    return L2Normalize(name="unit_vectors")(layers.Dense(dimensions, dtype="float32", name="projection")(centred))


def _two_layers(features, dimensions: int):
    """A hidden layer as wide as the features before the neck: the paper's Siamese ResNet50."""
    hidden = layers.Dense(features.shape[-1], name="hidden")(features)
    return _neck(layers.ReLU(name="hidden_relu")(batch_norm("hidden_norm")(hidden)), dimensions)


def _linear(features, dimensions: int):
    """A linear layer only, without L2 normalization: the paper's Siamese EfficientNetB0."""
    return layers.Dense(dimensions, dtype="float32", name="projection")(features)


def _features(features, dimensions: int):
    """The features with L2 normalization, without weights: for a frozen backbone and a distance transform."""
    if dimensions != features.shape[-1]:
        raise KcarsError(
            f"model.embedding: {dimensions}; head features needs the number of the backbone's features, {features.shape[-1]}"
        )
    return L2Normalize(name="unit_vectors")(features)


HEADS = {"neck": _neck, "two_layers": _two_layers, "linear": _linear, "features": _features}


def margin_classifier(
    embedder: keras.Model, classes: dict[str, int], with_vectors: bool = False, projection: int | None = None
) -> keras.Model:
    """Model from pixels to {target: cosines (n, classes)} for losses with a margin.

    With `with_vectors` also to {"vectors": unit vectors (n, d)}, for losses over all pairs of a batch. projection: dimensions
    of a second neck on the features of the embedder's backbone, whose unit vectors take the place of the embedding's.
    """
    pixels = pixels_for(embedder)
    vectors = _neck(features_of(embedder)(pixels), projection) if projection else embedder(pixels)
    outputs = {target: CosineLogits(count, name=target)(vectors) for target, count in classes.items()}
    if with_vectors:
        outputs["vectors"] = layers.Identity(dtype="float32", name="vectors")(vectors)
    return keras.Model(pixels, outputs, name="margin_classifier")


def siamese(embedder: keras.Model, logit: bool = False) -> keras.Model:
    """Model from {"left": pixels, "right": pixels} to {"same": Euclidean distance (n,)}, smaller for more similar photos.

    With `logit`, to {"same": logit (n,)} of a same pair, from a learned scale and offset of the distance. In training, batch
    normalization is applied to the left and the right photos separately, each with its own statistics.
    """
    inputs = {side: pixels_for(embedder, side) for side in ("left", "right")}
    sides = embedder(inputs["left"]), embedder(inputs["right"])
    same = EuclideanDistance(name="distance" if logit else "same")(*sides)
    if logit:
        same = DistanceLogit(name="same")(same)
    return keras.Model(inputs, {"same": same}, name="siamese")


def head_of(network: keras.Model) -> keras.Model:
    """The part of a classifier or an embedder after its backbone: a model from features to the output, with shared weights."""
    position = next(number for number, layer in enumerate(network.layers) if isinstance(layer, keras.Model))
    if network.layers[position + 1 :]:
        return keras.Model(network.layers[position + 1].input, network.output)
    features = keras.Input(network.output_shape[1:])
    return keras.Model(features, layers.Identity(dtype="float32")(features))


def features_of(network: keras.Model) -> keras.Model:
    """The model from pixels to the features (n, d) of a classifier's or an embedder's backbone, with shared weights."""
    position = next(number for number, layer in enumerate(network.layers) if isinstance(layer, keras.Model))
    return keras.Model(network.input, network.layers[position + 1].input)


def pixels_for(model: keras.Model, name: str = "pixels"):
    """An input layer of the size that `model` expects."""
    return keras.Input(model.input_shape[1:], dtype="float32", name=name)


def in_float32(model: keras.Model) -> keras.Model:
    """A float32 copy of `model` with the same weights, whatever its training precision.

    Scores, thresholds and calibration use this copy. It is not compiled and shares no variables with
    `model`: after further training, update it with `copy.set_weights(model.get_weights())`.
    """
    copy = type(model).from_config(with_float32_policies(model.get_config()))
    copy.set_weights(model.get_weights())
    return copy


def with_float32_policies(config):
    """`config` with the dtype policy of each layer replaced by float32, also in nested models."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return {**config, "config": {**config["config"], "name": "float32"}}
        return {key: with_float32_policies(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(with_float32_policies(value) for value in config)
    return config
