"""What the files of a run folder may hold: one pydantic schema a file, checked when it is read.

Keys that a schema does not name are allowed: a later kcars may add some.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from kcars.errors import KcarsError

SHOWN = 60  # So much of a value in a message, no more.


class Part(BaseModel):
    """Strict types, finite numbers; keys that are not known are left as they are."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)


def checked(schema: Any, content: Any, path: Path, remedy: str) -> Any:
    """The content as it is; KcarsError with file, key and remedy where it is not what the schema says."""
    try:
        TypeAdapter(schema).validate_python(content)
    except ValidationError as error:
        raise KcarsError(f"{path}: {first_fault(error)}; {remedy}") from None
    return content


def first_fault(error: ValidationError) -> str:
    """`key: what is wrong`, of the first fault that pydantic found."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "its content"
    if first["type"] == "missing":
        return f"{ascii(place)[1:-1]} is missing or damaged (there is none)"
    message = first["msg"].removeprefix("Value error, ")
    return f"{ascii(place)[1:-1]} is missing or damaged ({message}; found {_short(first['input'])})"


def _short(value: Any) -> str:
    try:
        text = ascii(value)
    except ValueError:  # An integer of thousands of digits.
        text = "a long number"
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."
