"""Runs a network over Index rows, each distinct photo once, in batches of one size."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

Outputs = Callable[[np.ndarray], np.ndarray]


def network_outputs(model, store, batch: int, mirror: bool, progress: str = "") -> Outputs:
    """A function from Index rows (n,) to the model's outputs (n, d) float32, in their order.

    mirror: the mean over each photo and its mirror image. progress: text of the bar, none when empty. The next batch
    is read while the network works on this one.
    """

    def outputs(rows: np.ndarray) -> np.ndarray:
        distinct, place = np.unique(rows, return_inverse=True)
        parts = [distinct[start : start + batch] for start in range(0, len(distinct), batch)]
        bar = tqdm(total=len(parts), desc=progress, unit="batch", disable=None if progress else True)
        done = []
        with bar:
            for pixels in _read_ahead(store.read, parts):
                done.append(batch_outputs(model, pixels, batch, mirror))
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


def batch_outputs(model, pixels: np.ndarray, batch: int, mirror: bool) -> np.ndarray:
    """Outputs (n, d) float32 of up to `batch` photos; a short batch is filled up, so that the network is traced once."""
    count = len(pixels)
    if count < batch:
        pixels = np.concatenate([pixels, np.zeros((batch - count, *pixels.shape[1:]), pixels.dtype)])
    out = _values(model.predict_on_batch(pixels))
    if mirror:
        out = (out + _values(model.predict_on_batch(np.ascontiguousarray(pixels[:, :, ::-1])))) / 2
    return out[:count]


def _values(output) -> np.ndarray:
    """The one array of a network's output, which is a dict by target for a classifier."""
    if isinstance(output, dict):
        (output,) = output.values()
    return np.asarray(output, np.float32)
