"""The signatures of an export as TensorFlow functions, from bytes or pixels to predictions."""

from typing import Any

import numpy as np
import tensorflow as tf

from kcars.export import jpeg_graph
from kcars.models.outputs import views
from kcars.posthoc.pipeline import Pipeline

TOP = 5
_JPEG = tf.TensorSpec([None], tf.string)
_BOXES = tf.TensorSpec([None, 4], tf.float32)


class Graphs:
    """The signatures of one network.

    network: a float32 Keras model of pixels; card: from `kcars.runs.model_card`; pipeline: of the run.
    `held`, a tf.Module, holds each weight once, which the model itself would not.
    """

    def __init__(self, network, card: dict, pipeline: Pipeline):
        self.held = tf.Module(name="kcars")
        self.held.weights = [variable.value for variable in network.variables]  # pyright: ignore[reportAttributeAccessIssue]  A tf.Module accepts any attribute.
        self._network, self._card, self._pipeline = network, card, pipeline
        given = card["input"]
        self._size_px, padding = given["size_px"], given["padding"]
        # Traced once: every signature that reads photos calls it.
        self._photos = _function(
            lambda jpeg, boxes: jpeg_graph.photos(jpeg, boxes, self._size_px, padding), _JPEG, _BOXES
        )

    def signatures(self) -> dict:
        """Return concrete functions by signature name; outputs are dicts."""
        found = {"classify": self._classifier, "verify": self._verifier}[self._card["task"]]()
        return {name: function.get_concrete_function() for name, function in found.items()}

    def pixels(self):
        """Return the signature without strings and JPEG for other runtimes: pixels (n, s, s, 3) uint8 to outputs."""
        spec = tf.TensorSpec([None, self._size_px, self._size_px, 3], tf.uint8, name="pixels")
        answer = {"classify": self._probable, "verify": self._embedded}[self._card["task"]]
        return _function(lambda pixels: answer(self._outputs(pixels)), spec)

    def _classifier(self) -> dict:
        spec = tf.TensorSpec([None, self._size_px, self._size_px, 3], tf.uint8)
        jpeg = _function(lambda jpeg: self._named(self._read(jpeg)), _JPEG)
        return {
            "serving_default": jpeg,
            "jpeg": jpeg,
            "jpeg_in_box": _function(lambda jpeg, boxes: self._named(self._read(jpeg, boxes)), _JPEG, _BOXES),
            "pixels": _function(lambda pixels: self._named(pixels), spec),
        }

    def _verifier(self) -> dict:
        def embed(jpeg, boxes=None):
            return self._embedded(self._served(self._read(jpeg, boxes)))

        def compare(left, right, left_boxes=None, right_boxes=None):
            sides = [self._read(left, left_boxes), self._read(right, right_boxes)]
            with tf.control_dependencies(
                [
                    tf.debugging.assert_equal(
                        tf.size(left), tf.size(right), "left and right: different numbers of photos"
                    )
                ]
            ):
                vectors = self._embedded(self._served(tf.concat(sides, 0)))["embedding"]
            return self._compared(*tf.split(vectors, 2))

        spec = tf.TensorSpec([None, self._size_px, self._size_px, 3], tf.uint8, name="pixels")
        jpeg = _function(lambda jpeg: embed(jpeg), _JPEG)
        return {
            "serving_default": jpeg,
            "jpeg": jpeg,
            "embed": jpeg,
            "embed_in_box": _function(embed, _JPEG, _BOXES),
            "pixels": _function(lambda pixels: self._embedded(self._served(pixels)), spec),
            "compare": _function(lambda left, right: compare(left, right), _JPEG, _JPEG),
            "compare_in_box": _function(compare, _JPEG, _JPEG, _BOXES, _BOXES),
        }

    def _read(self, jpeg, boxes=None):
        whole = tf.fill([tf.size(jpeg), 4], jpeg_graph.WHOLE[0])
        return self._photos(jpeg, whole if boxes is None else boxes)

    def _outputs(self, pixels):
        """Return the outputs (n, d), averaged over the run's views of a photo."""
        seen = views(self._size_px, self._card["input"]["mirror"], self._card["input"]["shift"])
        shown = [pixels, *(tf.gather(tf.gather(pixels, rows, axis=1), columns, axis=2) for rows, columns in seen[1:])]
        return tf.add_n(tf.split(self._raw(tf.concat(shown, 0)), len(seen))) / len(seen)

    def _served(self, pixels):
        """Return `_outputs`, also for an empty batch: oneDNN's fused convolutions fail on it, so a photo is added and removed."""
        count = tf.shape(pixels)[0]
        none = tf.cast(tf.equal(count, 0), tf.int32)
        padding: Any = [[0, none], [0, 0], [0, 0], [0, 0]]
        return self._outputs(tf.pad(pixels, padding))[:count]

    def _raw(self, pixels):
        found = self._network(tf.cast(pixels, tf.float32), training=False)
        if isinstance(found, dict):
            (found,) = found.values()
        return found

    def _probable(self, logits) -> dict:
        return {"logits": logits, "probabilities": tf.nn.softmax(logits / self._pipeline.decision["temperature"])}

    def _named(self, pixels) -> dict:
        """Return the most probable names with their probabilities, in descending order, and the logits."""
        found = self._probable(self._served(pixels))
        answers = {"logits": found["logits"]}
        classes = self._card["classes"]
        answers["names"], answers["probabilities"] = _best(found["probabilities"], classes["names"])
        if classes["makes"]:
            makes = sorted(set(classes["makes"]))
            member = np.array([[make == one for one in makes] for make in classes["makes"]], np.float32)
            answers["makes"], answers["make_probabilities"] = _best(found["probabilities"] @ member, makes)
        return answers

    def _embedded(self, vectors) -> dict:
        return {"embedding": self._pipeline.in_graph(vectors)}

    def _compared(self, left, right) -> dict:
        decision = self._pipeline.pairs
        distance = tf.sqrt(tf.reduce_sum(tf.square(left - right), -1))
        return {
            "distance": distance,
            "probability": tf.sigmoid(decision.scale * (decision.offset - distance)),
            "same": decision.same(distance),
        }


def _best(probabilities, names: list[str]):
    """Return (names, probabilities), each (n, TOP) or fewer, in descending order."""
    found = tf.math.top_k(probabilities, min(TOP, len(names)))
    return tf.gather(tf.constant(names), found.indices), found.values


def _function(call, *specs):
    return tf.function(call, input_signature=specs, autograph=False)
