"""Random numbers as a function of (seed, purpose, number): no hidden generator, nothing to save or to restore."""

import zlib

import numpy as np


def generator(seed: int, purpose: str, number: int) -> np.random.Generator:
    """A generator of its own for each (seed, purpose, number): Philox keyed by the first two, counted by the last."""
    key = np.array([seed, zlib.crc32(purpose.encode())], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, number]))
