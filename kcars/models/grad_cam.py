"""Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) with each place's own gradient: which places of a photo made an answer.

A map is (h, w) like a grid of features within the network: each feature times how the answer grows with it there, summed
over channels. It is above 0 where a place speaks for the answer, and below where it speaks against. Gradients are not
averaged over the grid (as in HiResCAM, Draelos and Carin 2020, arXiv 2011.08891): under a mean and a linear head that is
Grad-CAM and CAM all the same, and further down, where grids are finer, it is more faithful (docs/results.md).
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from kcars.models.outputs import views
from kcars.posthoc.pipeline import Pipeline

BATCH = 8  # By the sizes of its layers, gradients of ResNet50 at 224 px hold about 25 MB a view of a photo.


def why_no_maps() -> str:
    """Why there can be no maps, "" where there can: their gradients are TensorFlow's, whichever library trained."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    return "" if backend == "tensorflow" else f"KERAS_BACKEND={backend} gives no heat maps; only tensorflow does"


class GradCam:
    """Maps of a classifier or an embedder, a float32 Keras model on TensorFlow.

    mirror: the network answers by the mean over a photo and its mirror image, and so do maps. pipeline: what vectors go
    through before their distance is taken. last: the grid is the network's last one,
    as published, not one of an eighth of the photo's side.
    """

    def __init__(self, network, mirror: bool = False, pipeline: Pipeline | None = None, last: bool = False):
        from kcars.models.split_at_grid import cut_at_grid

        self._to_grid, self._to_output = cut_at_grid(network, last)
        self._size_px, self._mirror = network.input_shape[1], mirror
        self._pipeline = pipeline or Pipeline()

    def of_classes(self, pixels: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Maps (n, h, w) float32 of what speaks for a class's logit, of photos (n, s, s, 3) uint8 and class numbers (n,)."""
        return _in_batches(self._of_classes, pixels, classes)[0]

    def of_pairs(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Maps (n, h, w) float32 of the left and of the right photos of pairs (n, s, s, 3) uint8: what brings them together.

        That is how minus their distance grows with the features of each.
        """
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
            nearness = -EuclideanDistance()(one, other)  # Whose gradient is 0, not undefined, where both are one photo.
        gradients: Any = tape.gradient(nearness, sides)
        return _maps(sides[0], gradients[0]), _maps(sides[1], gradients[1])

    def _grids(self, pixels: np.ndarray) -> list:
        """The grid (n, h, w, c) of the photos, and of their mirror images where those count."""
        seen = views(self._size_px, self._mirror, 0.0)
        return [self._to_grid(np.ascontiguousarray(pixels[:, rows][:, :, columns])) for rows, columns in seen]

    def _outputs(self, grids: list):
        """The mean of the network's outputs (n, d) over views."""
        outputs = [self._to_output(grid) for grid in grids]
        outputs = [next(iter(each.values())) if isinstance(each, dict) else each for each in outputs]
        return sum(outputs) / len(outputs)


def _in_batches(maps_of: Callable, *photos: np.ndarray) -> tuple:
    """The arrays that maps_of gives of up to BATCH photos at a time, each joined: memory stays flat."""
    starts = range(0, len(photos[0]), BATCH)
    parts = [maps_of(*(each[start : start + BATCH] for each in photos)) for start in starts]
    return tuple(np.concatenate(each) for each in zip(*parts, strict=True))


def _maps(grids: list, gradients: list) -> np.ndarray:
    """(n, h, w) of each view's grid and gradient (n, h, w, c); those of mirror images are turned back."""
    total: Any = 0.0
    for number, (grid, gradient) in enumerate(zip(grids, gradients, strict=True)):
        found = (grid.numpy() * gradient.numpy()).sum(-1)
        total = total + (found[:, :, ::-1] if number else found)
    return total
