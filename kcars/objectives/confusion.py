"""The confusion matrix of training, kept on the device, with balanced metrics and the recall of each class."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kcars.losses.parts import are_rows
from kcars.metrics import scores


@keras.saving.register_keras_serializable(package="kcars")
class ConfusionMatrix(keras.metrics.Metric):
    """Counts (classes, classes), row = label, column = prediction; `result()` returns scalars computed from them."""

    def __init__(self, classes: int, name: str = "confusion", **kwargs):
        super().__init__(name=name, **kwargs)
        self.classes = classes
        self.matrix = self.add_weight(shape=(classes, classes), initializer="zeros", name="matrix", dtype="int32")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch: integer labels (n,) or rows of shares (n, classes), of which the largest is used; scores (n, classes)."""
        label = class_numbers(y_true, y_pred)
        position = label * self.classes + ops.cast(ops.argmax(y_pred, axis=-1), "int32")
        counts = _counted(position, self.classes**2)
        self.matrix.assign_add(ops.cast(ops.reshape(counts, (self.classes, self.classes)), "int32"))

    def result(self):
        """accuracy and balanced_accuracy (mean recall of the classes seen), as scalars."""
        matrix = ops.cast(self.matrix, "float32")
        right, seen = ops.diagonal(matrix), ops.sum(matrix, axis=1)
        present = ops.cast(seen > 0, "float32")
        recall = right / ops.maximum(seen, 1.0)
        return {
            "accuracy": ops.sum(right) / ops.maximum(ops.sum(matrix), 1.0),
            "balanced_accuracy": ops.sum(recall * present) / ops.maximum(ops.sum(present), 1.0),
        }

    def reset_state(self):
        self.matrix.assign(ops.zeros((self.classes, self.classes), "int32"))

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


@keras.saving.register_keras_serializable(package="kcars")
class TopFive(keras.metrics.SparseTopKCategoricalAccuracy):
    """Top-5 accuracy, called `top5` also in a network with a second output.

    Labels are integers (n,) or rows of shares (n, classes), of which the largest is used.
    """

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(class_numbers(y_true, y_pred), y_pred, sample_weight)

    def result(self):
        return {"top5": super().result()}


def _counted(numbers, count: int):
    """How often each of 0..count-1 occurs in the numbers (n,)."""
    if keras.backend.backend() == "jax":  # JAX cannot trace a bincount of unknown length.
        return ops.segment_sum(ops.ones_like(numbers), numbers, count)
    return ops.bincount(numbers, minlength=count)


def class_numbers(labels, outputs):
    """Labels (n,), (n, 1) or rows of shares (n, classes) as int32 class numbers (n,); outputs: (n, classes)."""
    if are_rows(labels, outputs):
        return ops.cast(ops.argmax(labels, axis=-1), "int32")
    return ops.cast(ops.reshape(labels, (-1,)), "int32")


def balanced_metrics(classes: int) -> list[keras.metrics.Metric]:
    """The metrics of a target for `compile`: the confusion matrix, and top-5 accuracy, which needs scores."""
    return [ConfusionMatrix(classes), TopFive(min(5, classes), name="top5")]


class BalancedMetrics(keras.callbacks.Callback):
    """Adds macro F1 of the training batches to the logs and passes the recall of every class to `record`."""

    def __init__(self, record, classes: int):
        """record: called with rows [epoch, recall of each class], one per epoch; nan for a class that was not seen."""
        super().__init__()
        self.record, self.rows, self.cells = record, [], 1 + classes

    def on_epoch_end(self, epoch, logs: dict[str, Any]):
        for metric in _matrices(self.model):
            matrix = np.asarray(metric.matrix).astype(np.int64)
            logs["macro_f1"] = scores.macro_f1(matrix)
            self.rows.append([epoch + 1, *scores.class_recall(matrix).round(6).tolist()])
            self.record(self.rows)

    def state(self) -> dict:
        return {"rows": self.rows}

    def restore(self, state: dict) -> None:
        self.rows = state["rows"]
        if self.rows:
            self.record(self.rows)


def _matrices(model) -> list[ConfusionMatrix]:
    compiled = getattr(model, "_compile_metrics", None)
    return [metric for metric in getattr(compiled, "metrics", []) if isinstance(metric, ConfusionMatrix)]
