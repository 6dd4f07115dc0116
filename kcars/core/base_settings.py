"""What every section of a strategy is made of."""

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from kcars.core.errors import one_of

MOST = 2**32  # Of a whole number that has no smaller bound.


EFFECTS = {
    "training": "the weights",
    "length": "how long training goes on",
    "scoring": "how a trained network is scored",
    "measurement": "what scores are measured on",
    "conditions": "the conditions under which a run can be repeated",
    "nothing": "no figure of a run",
}
"""What a setting can change, from most to least. A setting that does not say (`affects`) changes the weights."""


def affects(what: str) -> dict[str, Any]:
    """For `json_schema_extra` of a field: what the setting changes, one of EFFECTS; of a section, what its settings change."""
    if what not in EFFECTS:
        raise one_of("affects", what, EFFECTS)
    return {"affects": what}


def of_task(task: str) -> dict[str, Any]:
    """For `json_schema_extra` of a field: the one task that the setting belongs to; with another, its default stands."""
    return {"task": task}


class Settings(BaseModel):
    """Frozen and strict: an unknown key, a value of another type, or a number that is not finite is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _of_some_size(cls, value: Any) -> Any:
        if isinstance(value, int) and abs(value) > MOST:
            raise ValueError(f"a number of at most {MOST:,} is expected, this is larger")
        return value
