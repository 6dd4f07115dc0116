"""The base class of all sections of a strategy."""

from typing import Any, TypeGuard

from pydantic import BaseModel, ConfigDict, field_validator

from kcars.core.errors import one_of

MOST = 2**32  # Largest integer of a setting without a smaller bound.


EFFECTS = {
    "training": "the weights",
    "length": "how long training takes",
    "scoring": "how a trained network is scored",
    "measurement": "the data and protocol of evaluation",
    "conditions": "the conditions for repeating a run",
    "nothing": "no result of a run",
}
"""What a setting can affect, from most to least. Settings without `affects` change the weights."""


def affects(what: str) -> dict[str, Any]:
    """For `json_schema_extra` of a field: what the setting, or all settings of a section, affect; one of EFFECTS."""
    if what not in EFFECTS:
        raise one_of("affects", what, EFFECTS)
    return {"affects": what}


def of_task(task: str) -> dict[str, Any]:
    """For `json_schema_extra` of a field: the only task of the setting; with the other task it must keep its default."""
    return {"task": task}


def added_later() -> dict[str, Any]:
    """For `json_schema_extra` of a field that runs in progress may lack; its default is what they were trained with."""
    return {"added_later": True}


def is_mapping(settings: Any) -> TypeGuard[dict[str, Any]]:
    """Whether plain settings, such as those of a YAML file, are a mapping."""
    return isinstance(settings, dict)


class Settings(BaseModel):
    """Frozen, strict settings: unknown keys, values of another type and numbers that are not finite are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _of_some_size(cls, value: Any) -> Any:
        if isinstance(value, int) and abs(value) > MOST:
            raise ValueError(f"expected a number of at most {MOST:,}")
        return value
