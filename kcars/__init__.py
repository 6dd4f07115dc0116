"""kcars: vehicle recognition (make and model, same or not) under class imbalance, on Keras 3."""

from kcars import telemetry as telemetry

__version__ = "0.1.0"


def __getattr__(name):
    if name == "Photo":  # Only when asked for: it brings OpenCV.
        from kcars.photos_in import Photo

        return Photo
    raise AttributeError(f"module 'kcars' has no attribute {name!r}")


def load(place):
    """A `kcars.predict.Predictor` over a run folder or an export: `predict`, `compare` and `embed` photos with it.

    Raises kcars.errors.KcarsError where there is none, or it has not been scored.
    """
    from kcars.predict import load

    return load(place)
