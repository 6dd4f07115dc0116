"""Runs a network over rows of a PhotoTable, each distinct photo once, in batches of one size."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from tqdm import tqdm

Outputs = Callable[[np.ndarray], np.ndarray]


class Pixels(Protocol):
    """A pixel store, which reads photos by PhotoTable row."""

    def read(self, rows: np.ndarray) -> np.ndarray: ...


def network_outputs(model, store: Pixels, batch: int, mirror: bool, progress: str = "", shift: float = 0.0) -> Outputs:
    """Returns a function from PhotoTable rows (n,) to the model's outputs (n, d) float32, in the same order.

    mirror, shift: average the outputs over each photo's `views`. progress: label of the progress bar; "": no bar. The next
    batch is read while the network runs on the current one.
    """

    def outputs(rows: np.ndarray) -> np.ndarray:
        distinct, inverse = np.unique(rows, return_inverse=True)
        parts = [distinct[start : start + batch] for start in range(0, len(distinct), batch)]
        bar = tqdm(total=len(parts), desc=progress, unit="batch", disable=None if progress else True)
        done = []
        with bar:
            for pixels in read_ahead(store.read, parts):
                done.append(batch_outputs(model, pixels, batch, mirror, shift))
                bar.update()
        return np.concatenate(done)[inverse] if done else np.zeros((0, 1), np.float32)

    return outputs


def read_ahead(read: Callable, parts: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields read(part) for each part in order; the next part is read while the current one is used."""
    with ThreadPoolExecutor(1) as reader:
        coming = None
        for part in parts:
            ready, coming = coming, reader.submit(read, part)
            if ready:
                yield ready.result()
        if coming:
            yield coming.result()


def views(size_px: int, mirror: bool, shift: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Test-time augmentations of a photo, each as the rows and columns (size_px,) to take; the first is the photo itself.

    shift: adds the photo shifted left, right, up and down by that share of its side, with its edge repeated; mirror: adds the
    mirror image of each view.
    """
    positions, step = np.arange(size_px), round(shift * size_px)
    moves = [(0, 0), (0, -step), (0, step), (-step, 0), (step, 0)] if step else [(0, 0)]
    found = [tuple((positions + move).clip(0, size_px - 1) for move in one) for one in moves]
    return [(rows, seen) for rows, columns in found for seen in ((columns, columns[::-1]) if mirror else (columns,))]


def batch_outputs(model, pixels: np.ndarray, batch: int, mirror: bool, shift: float = 0.0) -> np.ndarray:
    """Outputs (n, d) float32 of up to `batch` photos, averaged over their views."""
    first, *others = view_outputs(model, pixels, batch, mirror, shift)
    total = first
    for other in others:
        total = total + other
    return total / (1 + len(others))


def view_outputs(model, pixels: np.ndarray, batch: int, mirror: bool, shift: float = 0.0) -> Iterator[np.ndarray]:
    """Yields the outputs (n, d) float32 of up to `batch` photos for each of their `views`.

    A short batch is padded, so that the network is traced once.
    """
    count = len(pixels)
    if count < batch:
        pixels = np.concatenate([pixels, np.zeros((batch - count, *pixels.shape[1:]), pixels.dtype)])
    _, *others = views(pixels.shape[1], mirror, shift)
    yield output_values(model.predict_on_batch(pixels))[:count]  # The first view is the photo itself.
    for rows, columns in others:
        yield output_values(model.predict_on_batch(np.ascontiguousarray(pixels[:, rows][:, :, columns])))[:count]


def output_values(output) -> np.ndarray:
    """The array of a network's output, which for a classifier is a dict keyed by target."""
    if isinstance(output, dict):
        (output,) = output.values()
    return np.asarray(output, np.float32)
