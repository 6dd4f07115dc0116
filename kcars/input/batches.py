"""Training batches prepared in parallel for the backend of Keras."""

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import keras

from kcars.input.stream import Stream


def training_batches(stream: Stream, start: int, end: int, workers: int = 0, prefetch: int = 4) -> Iterable[tuple]:
    """Batches of `Stream.batch` for steps start..end-1 in order; see `tf_data` for the other parameters."""
    if keras.backend.backend() != "tensorflow":
        return by_threads(stream, start, end, workers or 2, prefetch)
    from kcars.input.tf_data import training_dataset

    return training_dataset(stream, start, end, workers, prefetch)


def plain_errors() -> contextlib.AbstractContextManager:
    """Inside the block, a KcarsError of `Stream.batch` is raised as itself."""
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    from kcars.input.tf_data import plain_errors as of_tf_data

    return of_tf_data()


def by_threads(stream: Stream, start: int, end: int, workers: int, prefetch: int) -> Iterator[tuple]:
    """Batches from `workers` threads, up to `prefetch` batches ahead, without TensorFlow."""
    coming, pool = deque(), ThreadPoolExecutor(workers)
    try:
        for step in range(start, end):
            coming.append(pool.submit(stream.batch, step))
            if len(coming) > prefetch:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:  # Also if the consumer of the batches ends early.
        pool.shutdown(cancel_futures=True)
