"""A Stream as a tf.data.Dataset: batches prepared in parallel, in order."""

import contextlib
import re

import joblib
import numpy as np
import tensorflow as tf

from kcars.core.errors import KcarsError
from kcars.input.stream import Stream


def training_dataset(stream: Stream, start: int, end: int, workers: int = 0, prefetch: int = 4) -> tf.data.Dataset:
    """Batches of `Stream.batch` for steps start..end-1, from `workers` threads; 0: chosen automatically.

    Augmentation is half Python, which runs one thread at a time, and half OpenCV, so more than two threads do not help.
    If photos are decoded each time, which releases Python's lock, there is one thread per core.
    """
    signature = _signature(stream, start)
    flat = tf.nest.flatten(signature)

    def make(step):
        # Not stateful: a stateful numpy_function loses parallelism and prefetch under op determinism.
        values = tf.numpy_function(
            lambda number: tf.nest.flatten(stream.batch(int(number))),
            [step],
            [s.dtype for s in flat],
            stateful=False,
        )
        for value, spec in zip(values, flat, strict=True):
            value.set_shape(spec.shape)
        return tf.nest.pack_sequence_as(signature, values)

    steps = tf.data.Dataset.range(start, end)
    helping = joblib.cpu_count() if stream.store.decodes else min(2, joblib.cpu_count())
    batches = steps.map(make, num_parallel_calls=workers or helping).prefetch(prefetch)
    options = tf.data.Options()
    # There is nothing to tune, and the autotuning thread delays the end of an iterator until it wakes: after 10 ms, then twice
    # as long each time, up to a minute.
    options.autotune.enabled = False
    return batches.with_options(options)


def _signature(stream: Stream, step: int):
    """Shapes and types of the batches from a step on, taken from that step."""

    def spec(value: np.ndarray) -> tf.TensorSpec:
        return tf.TensorSpec(np.shape(value), np.asarray(value).dtype)

    return tf.nest.map_structure(spec, stream.batch(step))


@contextlib.contextmanager
def plain_errors():
    """Inside the block, a KcarsError or MemoryError of `Stream.batch` is raised as itself, not as an error of tf.data."""
    try:
        yield
    except tf.errors.OpError as error:
        message = re.search(r"(KcarsError|MemoryError): (.*)", error.message)
        if message is None:
            raise
        raise {"KcarsError": KcarsError, "MemoryError": MemoryError}[message[1]](message[2]) from None
