"""The error of a photo that asks for more than a limit allows."""

from kcars.core.limits import limits


class BeyondLimit(ValueError):
    """Says what the photo asks for, what it may, and the name of the limit."""


class TooManyPixels(BeyondLimit):
    """A photo of more than `photo_megapixels`."""


def too_many_segments() -> BeyondLimit:
    """The error of a file of more parts than `photo_segments`."""
    return BeyondLimit(
        f"more than the {limits().photo_segments} parts that a photo file may have (limit photo_segments)"
    )
