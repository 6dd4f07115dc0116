"""The error for a photo that exceeds a limit."""

from kcars.core.limits import limits


class BeyondLimit(ValueError):
    """Raised with the photo's value, the allowed value and the name of the limit."""


class TooManyPixels(BeyondLimit):
    """Raised for a photo of more than `photo_megapixels`."""


def too_many_segments() -> BeyondLimit:
    """The error for a file with more parts than `photo_segments`."""
    return BeyondLimit(
        f"more than the {limits().photo_segments} parts that a photo file may have (limit photo_segments)"
    )
