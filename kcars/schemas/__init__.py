"""Schemas of the files in run folders, exports and indexes: one pydantic schema per file, checked when it is read.

Additional keys are allowed, because later versions of kcars may add some.
"""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from kcars.core.errors import KcarsError

SHOWN = 60  # Maximum characters of a value in a message.
Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[float, Field(ge=-1e15, le=1e15)]  # Keeps computations with it finite.
Positive = Annotated[float, Field(ge=1e-6, le=1e9)]
Text = Annotated[str, Field(max_length=4096)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Part(BaseModel):
    """Base class with strict types and finite numbers; unknown keys are kept."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=())


Parsed = TypeVar("Parsed", bound=Part)


def parsed(schema: type[Parsed], content: Any, where, remedy: str) -> Parsed:
    """The content as an object of the schema; raises KcarsError as `checked` does."""
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise KcarsError(f"{where}: {_key_and_fault(error)}; {remedy}") from None
    except RecursionError:
        raise KcarsError(f"{where}: is nested too deeply; {remedy}") from None


def _key_and_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    key = ascii(".".join(map(str, first["loc"])))[1:-1]
    if first["type"] == "missing":
        return f"lacks {key}"
    message = first["msg"].removeprefix("Value error, ").replace("Input should", "should")
    return f"{key} is {_short(first['input'])}: {message}" if key else message


def checked(schema: Any, content: Any, path: Path, remedy: str) -> Any:
    """Returns the content unchanged; raises KcarsError with file, key and remedy if it does not match the schema."""
    try:
        TypeAdapter(schema).validate_python(content)
    except ValidationError as error:
        raise KcarsError(f"{path}: {first_fault(error)}; {remedy}") from None
    return content


def first_fault(error: ValidationError) -> str:
    """The first error that pydantic found, as `key: what is wrong`."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "its content"
    if first["type"] == "missing":
        return f"{ascii(place)[1:-1]} is missing"
    message = first["msg"].removeprefix("Value error, ")
    return f"{ascii(place)[1:-1]} is missing or damaged ({message}; found {_short(first['input'])})"


def _short(value: Any) -> str:
    try:
        text = ascii(value)
    except ValueError:  # An integer of thousands of digits.
        text = "a long number"
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."
