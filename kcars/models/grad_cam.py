"""Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) with the gradient of each position: which regions support a prediction.

A map (h, w) has the size of a feature map inside the network: each feature times the gradient of the output, summed over
channels. It is positive where a position supports the prediction and negative where it counts against it. Gradients are not
averaged over the feature map (as in HiResCAM, Draelos and Carin 2020, arXiv 2011.08891): before average pooling and a linear
head this equals Grad-CAM and CAM; in earlier layers, whose feature maps are finer, it is more faithful (docs/results.md).
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from kcars.models.outputs import views
from kcars.posthoc.pipeline import Pipeline

BATCH = 8  # Gradients of ResNet50 at 224 px take about 25 MB per view of a photo, by the sizes of its layers.


def why_no_maps() -> str:
    """The reason that maps are unavailable, or "": gradients need TensorFlow, whichever library trained the model."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    return "" if backend == "tensorflow" else f"KERAS_BACKEND={backend} supports no heat maps; only tensorflow does"


class GradCam:
    """Computes maps for a classifier or an embedder, a float32 Keras model on TensorFlow.

    mirror: outputs and maps are means over a photo and its mirror image. pipeline: transforms embeddings before their
    distance. last: use the last feature map, as published, instead of the one of an eighth of the photo's side.
    """

    def __init__(self, network, mirror: bool = False, pipeline: Pipeline | None = None, last: bool = False):
        from kcars.models.split_at_grid import cut_at_grid

        self._to_grid, self._to_output = cut_at_grid(network, last)
        self._size_px, self._mirror = network.input_shape[1], mirror
        self._pipeline = pipeline or Pipeline()

    def of_classes(self, pixels: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Maps (n, h, w) float32 for the logits of classes (n,), from photos (n, s, s, 3) uint8."""
        return _in_batches(self._of_classes, pixels, classes)[0]

    def of_pairs(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Maps (n, h, w) float32 for the negative distance of pairs (n, s, s, 3) uint8, of the left and of the right photos."""
        return _in_batches(self._of_pairs, left, right)

    def _of_classes(self, pixels: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray]:
        import tensorflow as tf

        grids = self._grids(pixels)
        with tf.GradientTape() as tape:
            tape.watch(grids)
            logits = tf.gather(self._outputs(grids), classes, axis=1, batch_dims=1)
        return (_maps(grids, tape.gradient(logits, grids)),)

    def _of_pairs(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import tensorflow as tf

        from kcars.backbones.blocks.layers import EuclideanDistance

        sides = self._grids(left), self._grids(right)
        with tf.GradientTape() as tape:
            tape.watch(sides)
            one, other = (self._pipeline.in_graph(self._outputs(grids)) for grids in sides)
            nearness = -EuclideanDistance()(one, other)  # Its gradient is 0, not undefined, for two equal photos.
        gradients: Any = tape.gradient(nearness, sides)
        return _maps(sides[0], gradients[0]), _maps(sides[1], gradients[1])

    def _grids(self, pixels: np.ndarray) -> list:
        """Feature maps (n, h, w, c) of the photos and, with `mirror`, of their mirror images."""
        seen = views(self._size_px, self._mirror, 0.0)
        return [self._to_grid(np.ascontiguousarray(pixels[:, rows][:, :, columns])) for rows, columns in seen]

    def _outputs(self, grids: list) -> Any:
        """The mean of the network's outputs (n, d) over views."""
        outputs = [self._to_output(grid) for grid in grids]
        outputs = [next(iter(each.values())) if isinstance(each, dict) else each for each in outputs]
        return sum(outputs) / len(outputs)


def _in_batches(maps_of: Callable, *photos: np.ndarray) -> tuple:
    """Concatenated results of maps_of on batches of up to BATCH photos, to bound memory."""
    starts = range(0, len(photos[0]), BATCH)
    parts = [maps_of(*(each[start : start + BATCH] for each in photos)) for start in starts]
    return tuple(np.concatenate(each) for each in zip(*parts, strict=True))


def _maps(grids: list, gradients: list) -> np.ndarray:
    """Maps (n, h, w) from each view's features and gradients (n, h, w, c); mirrored views are flipped back."""
    total: Any = 0.0
    for number, (grid, gradient) in enumerate(zip(grids, gradients, strict=True)):
        found = (grid.numpy() * gradient.numpy()).sum(-1)
        total = total + (found[:, :, ::-1] if number else found)
    return total
