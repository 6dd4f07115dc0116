"""Random numbers as a function of (seed, purpose, number), without a generator state to save or restore."""

import zlib

import numpy as np


def generator(seed: int, purpose: str, number: int) -> np.random.Generator:
    """An independent generator for each (seed, purpose, number): Philox with a key from the first two, a counter from the last."""
    key = np.array([seed, zlib.crc32(purpose.encode())], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, number]))
