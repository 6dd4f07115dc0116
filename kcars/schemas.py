"""What the schemas of files share: strict where a value is used, open for keys of other versions, one line for the first fault."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kcars.errors import KcarsError

Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[float, Field(ge=-1e15, le=1e15)]  # What is computed with it stays finite.
Positive = Annotated[float, Field(ge=1e-6, le=1e9)]
Text = Annotated[str, Field(max_length=4096)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_MOST_SHOWN = 60


class Part(BaseModel):
    """A JSON object: types are exact (whole numbers pass for others), numbers finite; keys that are not named pass unread."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


Checked = TypeVar("Checked", bound=Part)


def checked(schema: type[Checked], value, where, remedy: str) -> Checked:
    """The value as the schema's object; KcarsError that names `where`, the first key that is wrong, and the remedy."""
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        raise KcarsError(f"{where}: {_told(error.errors(include_url=False)[0])}; {remedy}") from None
    except RecursionError:
        raise KcarsError(f"{where}: is nested too deeply; {remedy}") from None


def _told(fault: dict) -> str:
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] == "missing":
        return f"lacks {key}"
    message = fault["msg"].removeprefix("Value error, ").replace("Input should", "should")
    if not key:
        return message
    shown = repr(fault["input"])
    shown = shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}..."
    return f"{key} is {shown}: {message}"
