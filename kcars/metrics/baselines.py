"""Trivial rivals for every score table: what colour or a thumbnail alone achieves on the same photos.

A drawn data set can be easy for reasons that have nothing to do with cars; a network that does not beat these
has shown no skill. Both features have unit length, so for pairs their dot product is the score.
"""

import tempfile

import cv2
import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.files import cache_folder, reserve, writable_folder

BINS = 8
THUMBNAIL_PX = 32
CHUNK_QUERIES, CHUNK_GALLERY = 512, 8192


def colour_histogram(images):
    """8 x 8 x 8 RGB histogram, (n, 512) float32, of images (n, h, w, 3) uint8; (0, 512) for none.

    Square roots of shares: Euclidean distance is then the Hellinger distance, and every row has length 1.
    """
    features = np.zeros((len(_photos(images)), BINS**3), np.float32)
    for row, image in enumerate(images):
        red, green, blue = np.moveaxis(np.asarray(image).astype(np.int64) * BINS // 256, -1, 0)
        counts = np.bincount(((red * BINS + green) * BINS + blue).ravel(), minlength=BINS**3)
        features[row] = np.sqrt(counts / counts.sum())
    return features


def raw_pixels(images):
    """32 x 32 thumbnail without its mean, (n, 3072) float32 of length 1, of images (n, h, w, 3) uint8.

    The mean is one number a photo, so colour stays. A flat grey photo gives zeros; (0, 3072) for none.
    """
    features = np.zeros((len(_photos(images)), 3 * THUMBNAIL_PX**2), np.float32)
    for row, image in enumerate(images):
        size = (THUMBNAIL_PX, THUMBNAIL_PX)
        pixels = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA).ravel()
        pixels = pixels - pixels.mean()
        features[row] = pixels / (np.linalg.norm(pixels) or 1.0)
    return features


def stored_features(store, rows, features, chunk=512):
    """Features (n, d) float32 of PhotoTable rows, read from a pixel store a chunk at a time.

    They lie in a file of the cache folder that no name leads to: memory stays flat, and the file goes with the array.
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
            f"{folder}: no room for {size >> 20} MiB of the trivial rivals' features ({error.strerror}); make room, or set "
            "KCARS_CACHE to a larger disk"
        ) from None
    for start in range(0, len(rows), chunk):
        found[start : start + chunk] = features(store.read(rows[start : start + chunk]))
    return found


def class_similarity(gallery, gallery_labels, queries, classes):
    """Scores (n, classes) float32 of queries (n, d): the dot product with the most similar gallery row of a class.

    Of features of unit length the best class is the nearest neighbour's, and top-5 the five nearest classes.
    A class without gallery rows scores -2, below every other. Memory beside the scores stays flat where the gallery
    comes in the order of its labels; else it is copied into it.
    """
    gallery, gallery_labels = np.asarray(gallery, np.float32), np.asarray(gallery_labels)
    if gallery.ndim != 2 or not len(gallery) or len(gallery) != len(gallery_labels):
        raise KcarsError(
            f"gallery: shape {gallery.shape}, {len(gallery_labels)} labels; give rows, and a label for each."
        )
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


BASELINES = {"colour histogram": colour_histogram, "raw pixels": raw_pixels}


def _photos(images):
    """`images`, if they are (n, h, w, 3) uint8."""
    if len(images) and (images[0].dtype != np.uint8 or images[0].ndim != 3 or images[0].shape[-1] != 3):
        raise KcarsError(f"images: {images[0].dtype} {images[0].shape} a photo; expected uint8 (height, width, 3).")
    return images
