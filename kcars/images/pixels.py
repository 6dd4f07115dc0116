"""Memory for pixels, begun where TensorFlow takes an array over without copying it."""

import numpy as np

ALIGNMENT = 64  # EIGEN_MAX_ALIGN_BYTES of TensorFlow's builds: what is not so aligned is copied.


def empty_photos(count: int, size_px: int) -> np.ndarray:
    """(count, size_px, size_px, 3) uint8, not yet filled."""
    shape = (count, size_px, size_px, 3)
    memory = np.empty(int(np.prod(shape)) + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + int(np.prod(shape))].reshape(shape)
