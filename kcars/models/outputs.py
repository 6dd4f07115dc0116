"""Runs a network over PhotoTable rows, each distinct photo once, in batches of one size."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from tqdm import tqdm

Outputs = Callable[[np.ndarray], np.ndarray]


class Pixels(Protocol):
    """What photos are read from by PhotoTable row: a pixel store."""

    def read(self, rows: np.ndarray) -> np.ndarray: ...


def network_outputs(model, store: Pixels, batch: int, mirror: bool, progress: str = "", shift: float = 0.0) -> Outputs:
    """A function from PhotoTable rows (n,) to the model's outputs (n, d) float32, in their order.

    mirror, shift: the mean over each photo's `views`. progress: text of the bar, none when empty. The next batch is read
    while the network works on this one.
    """

    def outputs(rows: np.ndarray) -> np.ndarray:
        distinct, place = np.unique(rows, return_inverse=True)
        parts = [distinct[start : start + batch] for start in range(0, len(distinct), batch)]
        bar = tqdm(total=len(parts), desc=progress, unit="batch", disable=None if progress else True)
        done = []
        with bar:
            for pixels in _read_ahead(store.read, parts):
                done.append(batch_outputs(model, pixels, batch, mirror, shift))
                bar.update()
        return np.concatenate(done)[place] if done else np.zeros((0, 1), np.float32)

    return outputs


def _read_ahead(read: Callable, parts: list[np.ndarray]) -> Iterator[np.ndarray]:
    """read(part) for each part in order, one being read while the one before is used: memory stays flat."""
    with ThreadPoolExecutor(1) as reader:
        coming = None
        for part in parts:
            ready, coming = coming, reader.submit(read, part)
            if ready:
                yield ready.result()
        if coming:
            yield coming.result()


def views(size_px: int, mirror: bool, shift: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """What a network is shown of a photo, as rows and columns (size_px,) to take of it; the photo itself is the first.

    shift: with it also the photo moved left, right, up and down by that share of its side, its edge repeated; mirror: with
    each its mirror image.
    """
    places, step = np.arange(size_px), round(shift * size_px)
    moves = [(0, 0), (0, -step), (0, step), (-step, 0), (step, 0)] if step else [(0, 0)]
    found = [tuple((places + move).clip(0, size_px - 1) for move in one) for one in moves]
    return [(rows, seen) for rows, columns in found for seen in ((columns, columns[::-1]) if mirror else (columns,))]


def batch_outputs(model, pixels: np.ndarray, batch: int, mirror: bool, shift: float = 0.0) -> np.ndarray:
    """Outputs (n, d) float32 of up to `batch` photos; a short batch is filled up, so that the network is traced once."""
    count = len(pixels)
    if count < batch:
        pixels = np.concatenate([pixels, np.zeros((batch - count, *pixels.shape[1:]), pixels.dtype)])
    seen = views(pixels.shape[1], mirror, shift)
    total = _values(model.predict_on_batch(pixels))
    for rows, columns in seen[1:]:
        total = total + _values(model.predict_on_batch(np.ascontiguousarray(pixels[:, rows][:, :, columns])))
    return (total / len(seen))[:count]


def _values(output) -> np.ndarray:
    """The one array of a network's output, which is a dict by target for a classifier."""
    if isinstance(output, dict):
        (output,) = output.values()
    return np.asarray(output, np.float32)
