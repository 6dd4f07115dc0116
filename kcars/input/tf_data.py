"""The tf.data wrapping of a Stream: batches made in parallel, ahead of the network, in their order."""

import contextlib
import re

import joblib
import numpy as np
import tensorflow as tf

from kcars.core.errors import KcarsError
from kcars.input.stream import Stream


def training_dataset(stream: Stream, start: int, end: int, workers: int = 0, prefetch: int = 4) -> tf.data.Dataset:
    """Batches of steps start..end-1 as `Stream.batch` gives them, by `workers` threads; 0: as many as help.

    Augmentation is half Python, of which one thread runs at a time, and half OpenCV, so more than two are in each other's way.
    Where photos are decoded anew, which leaves Python, it is one a core.
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
    # It has nothing to tune here, and its thread lets an iterator end only when it next wakes: after 10 ms, then twice as
    # long each time, up to a minute.
    options.autotune.enabled = False
    return batches.with_options(options)


def _signature(stream: Stream, step: int):
    """Shapes and types of the batches from a step on, read off its own."""

    def spec(value: np.ndarray) -> tf.TensorSpec:
        return tf.TensorSpec(np.shape(value), np.asarray(value).dtype)

    return tf.nest.map_structure(spec, stream.batch(step))


@contextlib.contextmanager
def plain_errors():
    """Inside the block, a KcarsError or MemoryError of `Stream.batch` comes out as itself; tf.data makes it an error of its own."""
    try:
        yield
    except tf.errors.OpError as error:
        told = re.search(r"(KcarsError|MemoryError): (.*)", error.message)
        if told is None:
            raise
        raise {"KcarsError": KcarsError, "MemoryError": MemoryError}[told[1]](told[2]) from None
