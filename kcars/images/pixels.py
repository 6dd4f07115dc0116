"""Memory for pixels, begun where TensorFlow takes an array over without copying it."""

import cv2
import numpy as np

ALIGNMENT = 64  # EIGEN_MAX_ALIGN_BYTES of TensorFlow's builds: what is not so aligned is copied.


def empty_photos(count: int, size_px: int) -> np.ndarray:
    """(count, size_px, size_px, 3) uint8, not yet filled."""
    shape = (count, size_px, size_px, 3)
    memory = np.empty(int(np.prod(shape)) + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + int(np.prod(shape))].reshape(shape)


def resized(photos: np.ndarray, size_px: int) -> np.ndarray:
    """(n, h, w, 3) uint8 at another, smaller size, each pixel the mean of those it covers; as they are where it is theirs."""
    if photos.shape[1] == size_px:
        return photos
    out = empty_photos(len(photos), size_px)
    for photo, small in zip(photos, out, strict=True):
        cv2.resize(photo, (size_px, size_px), small, interpolation=cv2.INTER_AREA)
    return out
