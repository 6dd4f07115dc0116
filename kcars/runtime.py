"""Starts Keras on TensorFlow quietly, or says which extra to install; the one place that sets process-wide switches."""

import importlib.util
import os
import warnings

from kcars.errors import KcarsError


def start(precision: str | None = None, seed: int | None = None) -> None:
    """Make Keras ready: backend, quiet logs, and where given the dtype policy and every seed.

    Raises KcarsError where TensorFlow is not installed.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if os.environ["KERAS_BACKEND"] == "tensorflow" and importlib.util.find_spec("tensorflow") is None:
        raise KcarsError("TensorFlow is not installed; run: pip install 'kcars[cpu]' (or 'kcars[gpu]' for CUDA)")
    with _native_stderr_closed():
        import keras

        if os.environ["KERAS_BACKEND"] == "tensorflow":
            import tensorflow as tf

            tf.get_logger().setLevel("ERROR")
            tf.config.list_physical_devices("GPU")
    warnings.filterwarnings("ignore", message=".*input_shape.*", module="keras")
    if precision:
        keras.config.set_dtype_policy(precision)
    if seed is not None:
        keras.utils.set_random_seed(seed)


class _native_stderr_closed:
    """TensorFlow's C++ start-up lines are written before any log level is read: hold them, show them on failure."""

    def __enter__(self):
        import tempfile

        self._held = tempfile.TemporaryFile()
        self._stderr = os.dup(2)
        os.dup2(self._held.fileno(), 2)

    def __exit__(self, kind, *_):
        os.dup2(self._stderr, 2)
        os.close(self._stderr)
        if kind is not None:
            self._held.seek(0)
            os.write(2, self._held.read())
        self._held.close()
