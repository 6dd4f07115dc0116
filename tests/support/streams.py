"""Streams whose pixels tell their row."""

import numpy as np

from kcars.input.augment.chain import Augment
from kcars.input.stream import Stream


class Numbered:
    """A store whose pixels tell the row."""

    decodes = False

    def read(self, rows):
        return np.broadcast_to(rows[:, None, None, None], (len(rows), 2, 2, 3)).astype(np.uint8)


def make(order, batch=8, labels=None, seed=0, augment=""):
    labels = np.repeat(np.arange(5), [7, 5, 4, 3, 1]) if labels is None else labels
    rows = np.arange(len(labels)) * 3
    return Stream(
        Numbered(), rows, {"model": labels.astype(np.int32)}, "model", order, batch, 4, seed, Augment(augment, seed)
    )


def flat(batch):
    return [array for part in batch for array in (part.values() if isinstance(part, dict) else [part])]
