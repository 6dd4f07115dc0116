"""The setting `loss.alpha` of the focal losses."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, WrapValidator

from kcars.core.base_settings import Settings

_ALPHA = "expected a number above 0, inverse_frequency, or a list of numbers of at least 0, one of them above 0"


def _one_message(value, handler):
    """Replaces pydantic's errors, one for each allowed type, by one message."""
    try:
        return handler(value)
    except ValidationError:
        raise ValueError(_ALPHA) from None


def _not_all_zero(value: list[float]) -> list[float]:
    if not any(value):  # The loss would be 0.
        raise ValueError(_ALPHA)
    return value


Alpha = Annotated[
    Annotated[float, Field(gt=0)]
    | Literal["inverse_frequency"]
    | Annotated[list[Annotated[float, Field(ge=0)]], AfterValidator(_not_all_zero)],
    WrapValidator(_one_message),
]


class AlphaSettings(Settings):
    """The settings gamma and alpha of the focal losses."""

    name: str
    gamma: float = Field(2.0, ge=0, description="focusing exponent")
    alpha: Alpha = Field(
        1.0,
        description="weight of the loss: one number, a list with one per class (for pairs: different, same), or "
        "inverse_frequency: 1 over the class's share of the training photos, with mean 1 over the photos",
    )
