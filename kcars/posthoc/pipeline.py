"""What follows a network: another head, a transform of its vectors, and the decision; fitted once, applied everywhere alike."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kcars.posthoc.adjusted_head import AdjustedHead
from kcars.posthoc.decision import PairDecision
from kcars.posthoc.distance_transform import DistanceTransform, unit_length


@dataclass(frozen=True)
class Pipeline:
    """The steps from a network's outputs to what is scored, compared and answered, in this order.

    head: takes the place of a classifier's own; transform: of an embedder's vectors; unit: without one, vectors are brought
    to length 1, which the mean over a photo's views has lost; decision: as scores.json holds it, a temperature of logits or
    a `PairDecision`, and how often answers err by their confidence.
    """

    head: AdjustedHead | None = None
    transform: DistanceTransform | None = None
    unit: bool = False
    decision: dict[str, Any] = field(default_factory=dict)

    @property
    def pairs(self) -> PairDecision:
        """The decision of a verifier."""
        return PairDecision.of(self.decision)

    @property
    def gives_unit_vectors(self) -> bool:
        """Whether the vectors that it returns are of length 1."""
        return self.unit if self.transform is None else bool((self.transform.weights == 1).all())

    def network(self, scored, target: str):
        """The Keras model whose outputs go through the pipeline: `scored`, or one with the other head."""
        return self.head.on(scored, target) if self.head else scored

    def __call__(self, outputs: np.ndarray) -> np.ndarray:
        """Logits (n, classes) as they are; of vectors (n, d) those whose distances count, (n, k)."""
        if self.transform:
            return self.transform(outputs)
        return unit_length(outputs) if self.unit else outputs

    def in_graph(self, vectors):
        """The same of vectors as a TensorFlow tensor, with finite gradients."""
        if (transform := self.transform) is None:
            return _unit_length(vectors) if self.unit else vectors
        return _unit_length((_unit_length(vectors) - transform.mean) @ transform.projection) * transform.weights

    def parts(self) -> dict[str, bytes]:
        """Contents of the files that it is stored in beside scores.json, by kind: "metric" or "head"."""
        fitted = {"metric": self.transform, "head": self.head}
        return {kind: part.content() for kind, part in fitted.items() if part}


def _unit_length(vectors):
    import tensorflow as tf

    squared = tf.reduce_sum(tf.square(vectors), -1, keepdims=True)
    return vectors / tf.sqrt(tf.maximum(squared, 1e-24))  # The root's gradient at 0 is infinite.
