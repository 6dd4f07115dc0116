"""Training batches made in parallel, ahead of the network, for the library that Keras runs on."""

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import keras

from kcars.input.stream import Stream


def training_batches(stream: Stream, start: int, end: int, workers: int = 0, prefetch: int = 4) -> Iterable[tuple]:
    """Batches of steps start..end-1 in their order, each as `Stream.batch` gives it; `tf_data` tells the rest."""
    if keras.backend.backend() != "tensorflow":
        return by_threads(stream, start, end, workers or 2, prefetch)
    from kcars.input.tf_data import training_dataset

    return training_dataset(stream, start, end, workers, prefetch)


def plain_errors() -> contextlib.AbstractContextManager:
    """Inside the block, a KcarsError of `Stream.batch` comes out as itself."""
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    from kcars.input.tf_data import plain_errors as of_tf_data

    return of_tf_data()


def by_threads(stream: Stream, start: int, end: int, workers: int, prefetch: int) -> Iterator[tuple]:
    """Without TensorFlow: so many threads, up to `prefetch` batches ahead."""
    coming, pool = deque(), ThreadPoolExecutor(workers)
    try:
        for step in range(start, end):
            coming.append(pool.submit(stream.batch, step))
            if len(coming) > prefetch:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:  # Also where what takes the batches ends early.
        pool.shutdown(cancel_futures=True)
