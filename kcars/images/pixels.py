"""Memory for pixels, aligned so that TensorFlow uses an array without copying it."""

import cv2
import numpy as np

ALIGNMENT = 64  # EIGEN_MAX_ALIGN_BYTES of TensorFlow's builds: other arrays are copied.


def empty_photos(count: int, size_px: int) -> np.ndarray:
    """An uninitialized array (count, size_px, size_px, 3) uint8."""
    shape = (count, size_px, size_px, 3)
    memory = np.empty(int(np.prod(shape)) + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + int(np.prod(shape))].reshape(shape)


def resized(photos: np.ndarray, size_px: int) -> np.ndarray:
    """Photos (n, h, w, 3) uint8 reduced to size_px by averaging; unchanged if they have that size."""
    if photos.shape[1] == size_px:
        return photos
    out = empty_photos(len(photos), size_px)
    for photo, small in zip(photos, out, strict=True):
        cv2.resize(photo, (size_px, size_px), small, interpolation=cv2.INTER_AREA)
    return out
