"""The beginning of fine-tuning a verifier: an embedding that separates the classes by the features of the initial backbone."""

from typing import TYPE_CHECKING, Any

import numpy as np

from kcars.posthoc.discriminants import Discriminants
from kcars.posthoc.distance_transform import unit_length

if TYPE_CHECKING:
    import keras  # The import takes seconds.

SHRINKAGE = 0.5
OTHERS = 0.1  # Share of the embedding's squared length in dimensions that begin at random.


def begin_embedding(model: "keras.Model", head: Any, features: np.ndarray, labels: np.ndarray) -> None:
    """Set neck and projection of a model, and the class directions of the layer after them, from features (n, d) and labels (n,).

    The first dimensions are the discriminants, the others keep their random directions, scaled down.
    """
    neck, projection = model.get_layer("neck"), model.get_layer("projection")
    mean, variance = features.mean(0), features.var(0)
    gamma, beta, _, _ = neck.get_weights()
    neck.set_weights([gamma, beta, mean, variance])
    standard = (features - mean) / np.sqrt(variance + neck.epsilon)
    kernel, bias = projection.get_weights()
    count = min(len(np.unique(labels)) - 1, *kernel.shape)
    directions = Discriminants.of(standard, labels).directions(SHRINKAGE, count)
    own, others = (np.square(standard @ part).sum(1).mean() for part in (directions, kernel[:, count:]))
    kernel = kernel * np.sqrt(OTHERS / (1 - OTHERS) * own / max(others, 1e-12))
    kernel[:, :count] = directions
    projection.set_weights([kernel / np.sqrt(own), bias])
    vectors = unit_length(standard @ kernel)
    means = [vectors[labels == label].mean(0) for label in range(head.classes)]
    head.set_weights([unit_length(np.array(means)).T])
