"""The post-hoc pipeline of a network: adjusted head, transform of embeddings, and decision."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kcars.posthoc.adjusted_head import AdjustedHead
from kcars.posthoc.decision import PairDecision
from kcars.posthoc.distance_transform import DistanceTransform, unit_length

if TYPE_CHECKING:  # The imports take seconds.
    import keras
    import tensorflow as tf


@dataclass(frozen=True)
class Pipeline:
    """The steps from a network's outputs to scores and predictions, in this order.

    head: replaces the head of a classifier; transform: of an embedder's vectors; unit: without a transform, vectors are
    L2-normalized, because means over a photo's views are shorter; decision: as in scores.json, the temperature of logits or
    a `PairDecision`, and risk and coverage by confidence.
    """

    head: AdjustedHead | None = None
    transform: DistanceTransform | None = None
    unit: bool = False
    decision: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def pairs(self) -> PairDecision:
        """The decision of a verifier."""
        return PairDecision.of(self.decision)

    @property
    def gives_unit_vectors(self) -> bool:
        """Whether it returns vectors of length 1."""
        return self.unit if self.transform is None else bool((self.transform.weights == 1).all())

    def network(self, scored: "keras.Model", target: str) -> "keras.Model":
        """The Keras model for the pipeline: `scored`, or a copy with the adjusted head."""
        return self.head.on(scored, target) if self.head else scored

    def __call__(self, outputs: np.ndarray) -> np.ndarray:
        """Returns logits (n, classes) unchanged, or transforms vectors (n, d) to (n, k) for their distances."""
        if self.transform:
            return self.transform(outputs)
        return unit_length(outputs) if self.unit else outputs

    def in_graph(self, vectors: "tf.Tensor") -> "tf.Tensor":
        """The same for vectors in a TensorFlow tensor, with finite gradients."""
        if (transform := self.transform) is None:
            return _unit_length(vectors) if self.unit else vectors
        return _unit_length((_unit_length(vectors) - transform.mean) @ transform.projection) * transform.weights

    def parts(self) -> dict[str, bytes]:
        """Contents of the files next to scores.json that store it, by kind: "metric" or "head"."""
        fitted = {"metric": self.transform, "head": self.head}
        return {kind: part.content() for kind, part in fitted.items() if part}


def _unit_length(vectors: "tf.Tensor") -> "tf.Tensor":
    import tensorflow as tf

    squared = tf.reduce_sum(tf.square(vectors), -1, keepdims=True)
    return vectors / tf.sqrt(tf.maximum(squared, 1e-24))  # The root's gradient at 0 is infinite.
