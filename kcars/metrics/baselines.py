"""Trivial baselines for score tables: colour histograms and thumbnails on the same photos.

A drawn data set can be easy for reasons unrelated to cars; a network must beat these to show skill.
Both features have unit length, so for pairs their dot product is the score.
"""

import tempfile
from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from kcars.core.errors import KcarsError
from kcars.core.files import cache_folder, reserve, writable_folder

BINS = 8
THUMBNAIL_PX = 32
CHUNK_QUERIES, CHUNK_GALLERY = 512, 8192

Features = Callable[[np.ndarray], np.ndarray]
"""A function from images (n, h, w, 3) uint8 to features (n, d) float32."""


class Pixels(Protocol):
    """A pixel store, which reads photos by PhotoTable row."""

    def read(self, rows: np.ndarray) -> np.ndarray: ...


def colour_histogram(images: np.ndarray) -> np.ndarray:
    """8 x 8 x 8 RGB histogram, (n, 512) float32, of images (n, h, w, 3) uint8; (0, 512) for none.

    Values are square roots of shares: Euclidean distance is then the Hellinger distance, and every row has length 1.
    """
    features = np.zeros((len(_photos(images)), BINS**3), np.float32)
    for row, image in enumerate(images):
        red, green, blue = np.moveaxis(np.asarray(image).astype(np.int64) * BINS // 256, -1, 0)
        counts = np.bincount(((red * BINS + green) * BINS + blue).ravel(), minlength=BINS**3)
        features[row] = np.sqrt(counts / counts.sum())
    return features


def raw_pixels(images: np.ndarray) -> np.ndarray:
    """32 x 32 thumbnail without its mean, (n, 3072) float32 of length 1, of images (n, h, w, 3) uint8.

    The mean is one number per photo, so colour is kept. A uniform grey photo gives zeros; (0, 3072) for none.
    """
    features = np.zeros((len(_photos(images)), 3 * THUMBNAIL_PX**2), np.float32)
    for row, image in enumerate(images):
        size = (THUMBNAIL_PX, THUMBNAIL_PX)
        pixels = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA).ravel()
        pixels = pixels - pixels.mean()
        features[row] = pixels / (np.linalg.norm(pixels) or 1.0)
    return features


def stored_features(store: Pixels, rows: np.ndarray, features: Features, chunk: int = 512) -> np.ndarray:
    """Features (n, d) float32 of PhotoTable rows, computed from a pixel store in chunks.

    They are stored in an unnamed file in the cache folder, which bounds memory and is deleted with the array.
    """
    width = features(store.read(rows[:0])).shape[1]
    if not len(rows):
        return np.zeros((0, width), np.float32)
    folder = writable_folder(cache_folder(), "cache folder (KCARS_CACHE)")
    size = 4 * len(rows) * width
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            reserve(file, size)
            found = np.memmap(file, np.float32, "r+", shape=(len(rows), width))
    except OSError as error:
        raise KcarsError(
            f"{folder}: no space for {size >> 20} MiB of the baselines' features ({error.strerror}); free some space, or set "
            "KCARS_CACHE to a larger disk"
        ) from None
    for start in range(0, len(rows), chunk):
        found[start : start + chunk] = features(store.read(rows[start : start + chunk]))
    return found


def class_similarity(
    gallery: npt.ArrayLike, gallery_labels: npt.ArrayLike, queries: np.ndarray, classes: int
) -> np.ndarray:
    """Scores (n, classes) float32 of queries (n, d): the largest dot product with the gallery rows of each class.

    With unit vectors the best class is that of the nearest neighbour, and top-5 are the five nearest classes.
    A class without gallery rows scores -2, below every other. A gallery that is not sorted by label is copied;
    otherwise memory besides the scores is bounded.
    """
    gallery, gallery_labels = np.asarray(gallery, np.float32), np.asarray(gallery_labels)
    if gallery.ndim != 2 or not len(gallery) or len(gallery) != len(gallery_labels):
        raise KcarsError(f"gallery: shape {gallery.shape}, {len(gallery_labels)} labels; expected one label per row.")
    if (np.diff(gallery_labels) < 0).any():
        order = np.argsort(gallery_labels, kind="stable")
        gallery, gallery_labels = gallery[order], gallery_labels[order]
    scores = np.full((len(queries), classes), -2, np.float32)
    for start in range(0, len(queries), CHUNK_QUERIES):
        chunk = np.asarray(queries[start : start + CHUNK_QUERIES], np.float32)
        best = scores[start : start + len(chunk)]
        for first in range(0, len(gallery), CHUNK_GALLERY):
            part = slice(first, first + CHUNK_GALLERY)
            present, starts = np.unique(gallery_labels[part], return_index=True)
            found = np.maximum.reduceat(chunk @ gallery[part].T, starts, axis=1)
            best[:, present] = np.maximum(best[:, present], found)
    return scores


BASELINES: dict[str, Features] = {"colour histogram": colour_histogram, "raw pixels": raw_pixels}


def _photos(images: np.ndarray) -> np.ndarray:
    """Returns `images`, which must be (n, h, w, 3) uint8."""
    if len(images) and (images[0].dtype != np.uint8 or images[0].ndim != 3 or images[0].shape[-1] != 3):
        raise KcarsError(f"images: {images[0].dtype} {images[0].shape} per photo; expected uint8 (height, width, 3).")
    return images
