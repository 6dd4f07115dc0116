"""Starts Keras on TensorFlow quietly, or names the extra to install; sets all process-wide options."""

import importlib.util
import os
import platform
import sys
import warnings

from kcars.backbones.catalogue import BACKBONES
from kcars.core.environment import processor_units
from kcars.core.errors import KcarsError, one_of
from kcars.settings import Strategy, TrainSettings

BACKENDS = ("tensorflow", "torch", "jax")  # Backends on which Keras can train.


def start(settings: TrainSettings, precision: str = "") -> None:
    """Prepare Keras for training: backend, quiet logs, dtype policy, seeds, determinism.

    precision: dtype policy that overrides the settings.

    Raises KcarsError if the library in KERAS_BACKEND is unknown or not installed.
    """
    _prepare_environment()
    with native_stderr_held():
        keras = _keras()
        if os.environ["KERAS_BACKEND"] == "tensorflow":
            import tensorflow as tf

            tf.get_logger().setLevel("ERROR")
            gpus = tf.config.list_physical_devices("GPU")
            if settings.deterministic == "on" or (settings.deterministic == "auto" and not gpus):
                # TensorFlow cannot undo this within the process.
                tf.config.experimental.enable_op_determinism()
    warnings.filterwarnings("ignore", message=".*input_shape.*", module="keras")
    _set_own_defaults(keras.config)
    keras.config.set_dtype_policy(precision or settings.precision)
    keras.utils.set_random_seed(settings.seed)


def _keras():
    """Import and return Keras; KcarsError if its configuration is invalid."""
    try:
        import keras
    except (ValueError, TypeError, AttributeError) as error:  # Raised for unknown values.
        found = " ".join(str(error).split())
        raise KcarsError(
            f"Keras: rejects its configuration ({found}); correct keras.json in ~/.keras or KERAS_HOME, and KERAS_* variables"
        ) from None
    return keras


def _set_own_defaults(config) -> None:
    """Reset every option of ~/.keras/keras.json and KERAS_* variables, so that a run depends only on its settings.

    The dtype policy and the seed are set by the strategy, the backend by KERAS_BACKEND.
    """
    config.set_floatx("float32")
    config.set_epsilon(1e-7)
    config.set_image_data_format("channels_last")
    config.set_max_epochs(None)
    config.set_max_steps_per_epoch(None)
    config.enable_flash_attention()
    if config.is_nnx_enabled():
        raise KcarsError(
            "KERAS_NNX_ENABLED: networks of NNX cannot be trained here; unset it, also in ~/.keras/keras.json"
        )


def forget_networks() -> None:
    """Free the networks of earlier runs in this process, of which there may be dozens."""
    if keras := sys.modules.get("keras"):  # Not imported here: `start` does so quietly.
        keras.utils.clear_session()


def quiet_tensorflow():
    """Import and return TensorFlow, for exports without Keras; KcarsError if it is not installed."""
    _prepare_environment()
    with native_stderr_held():
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
    return tf


def _prepare_environment() -> None:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if platform.machine().lower() in ("x86_64", "amd64"):
        # By default TensorFlow uses oneDNN's kernels only with AVX-512; they halve the time of a step on AVX2.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    backend = os.environ["KERAS_BACKEND"]
    if backend not in BACKENDS:
        raise one_of("KERAS_BACKEND", backend, BACKENDS)
    if importlib.util.find_spec(backend) is None:
        if backend == "tensorflow":
            raise KcarsError("TensorFlow is not installed; run: pip install 'kcars[cpu]' (or 'kcars[gpu]' for CUDA)")
        raise KcarsError(f"KERAS_BACKEND={backend}: {backend} is not installed; install it, or unset KERAS_BACKEND")


def settled(strategy: Strategy) -> Strategy:
    """Return the strategy with `train.precision: auto` replaced by the fastest precision on this machine.

    On TensorFlow this is bfloat16 if the processor, or an NVIDIA GPU since Ampere, supports it, float16 on an older GPU,
    and otherwise float32. Raises KcarsError if TensorFlow is not installed.
    """
    if strategy.train.precision != "auto":
        return strategy
    start(strategy.train, "float32")
    on_tensorflow = os.environ["KERAS_BACKEND"] == "tensorflow"
    chosen = _fastest_precision(strategy.model.backbone) if on_tensorflow else "float32"
    return strategy.model_copy(update={"train": strategy.train.model_copy(update={"precision": chosen})})


def _fastest_precision(backbone: str) -> str:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return "mixed_bfloat16" if capability >= (8, 0) else "mixed_float16"
    if BACKBONES[backbone].slow_in_half:
        return "float32"
    return "mixed_bfloat16" if {"avx512_bf16", "amx_bf16"} & processor_units() else "float32"


class native_stderr_held:
    """Holds back TensorFlow's C++ start-up messages, which precede any log level, and shows them on failure."""

    def __enter__(self):
        self._held = _file_in_memory()
        self._stderr = os.dup(2)
        os.dup2(self._held.fileno(), 2)

    def __exit__(self, kind, *_):
        os.dup2(self._stderr, 2)
        os.close(self._stderr)
        if kind is not None and issubclass(kind, ImportError | RuntimeError):
            self._held.seek(0)
            os.write(2, self._held.read())
        self._held.close()


def _file_in_memory():
    if hasattr(os, "memfd_create"):  # Works on a full disk as well.
        return os.fdopen(os.memfd_create("kcars-stderr"), "w+b", buffering=0)
    import tempfile

    return tempfile.TemporaryFile()
