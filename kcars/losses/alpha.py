"""The setting `loss.alpha` of the focal losses."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, WrapValidator

from kcars.core.base_settings import Settings

_ALPHA = "takes a number above 0, inverse_frequency, or a list of numbers from 0 on, one of them above 0"


def _one_message(value, handler):
    """Pydantic tells what is wrong by each of the kinds that could be meant; this says at once what is allowed."""
    try:
        return handler(value)
    except ValidationError:
        raise ValueError(_ALPHA) from None


def _not_all_zero(value: list[float]) -> list[float]:
    if not any(value):  # Nothing would be learned.
        raise ValueError(_ALPHA)
    return value


Alpha = Annotated[
    Annotated[float, Field(gt=0)]
    | Literal["inverse_frequency"]
    | Annotated[list[Annotated[float, Field(ge=0)]], AfterValidator(_not_all_zero)],
    WrapValidator(_one_message),
]


class AlphaSettings(Settings):
    """gamma and alpha, behind the name that a loss's own settings fix."""

    name: str
    gamma: float = Field(2.0, ge=0, description="focusing exponent")
    alpha: Alpha = Field(
        1.0,
        description="weight of the loss; of each class (of different and same pairs); or inverse_frequency: of each class, "
        "1 over its share of training photos, with mean 1 over the photos",
    )
