"""What every section of a strategy is made of."""

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

MOST = 2**32  # Of a whole number that has no smaller bound.


class Settings(BaseModel):
    """Frozen and strict: an unknown key, a value of another type, or a number that is not finite is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _of_some_size(cls, value: Any) -> Any:
        if isinstance(value, int) and abs(value) > MOST:
            raise ValueError(f"a number of at most {MOST:,} is expected, this is larger")
        return value
