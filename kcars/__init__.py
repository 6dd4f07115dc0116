"""kcars: vehicle recognition (make and model, same or not) under class imbalance, on Keras 3."""

from kcars.core import telemetry as telemetry
from kcars.version import __version__ as __version__


def __getattr__(name):
    if name == "Photo":  # Only when asked for: it brings OpenCV.
        from kcars.inference.photo_source import Photo

        return Photo
    raise AttributeError(f"module 'kcars' has no attribute {name!r}")


def load(place):
    """A `kcars.inference.predictor.Predictor` over a run folder or an export: `predict`, `compare` and `embed` photos with it.

    Raises kcars.core.errors.KcarsError where there is none, or it has not been scored.
    """
    from kcars.inference.predictor import load

    return load(place)
