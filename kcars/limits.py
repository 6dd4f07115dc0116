"""Upper bounds on what a file or a request may cost: one place, with defaults, changed by KCARS_LIMITS."""

import os
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from kcars.errors import KcarsError

VARIABLE = "KCARS_LIMITS"


class Limits(BaseModel):
    """A limit a field; sizes end in their unit.

    `KCARS_LIMITS="photo_mib=128 jpeg_scans=500"` changes some of them for a process and those that it starts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    photo_mib: PositiveInt = Field(64, description="size of a photo file")
    photo_megapixels: PositiveInt = Field(100, description="pixels of a photo, in millions")
    json_mib: PositiveInt = Field(64, description="size of a JSON file")
    json_depth: PositiveInt = Field(64, description="how deeply a JSON file is nested")
    yaml_kib: PositiveInt = Field(1_024, description="size of a YAML file")
    yaml_depth: PositiveInt = Field(32, description="how deeply a YAML file is nested")
    yaml_nodes: PositiveInt = Field(10_000, description="values in a YAML file, with aliases written out")
    arrays_mib: PositiveInt = Field(8_192, description="unpacked size of an .npz file")
    head_mib: PositiveInt = Field(1_024, description="size of a run's metric.npz or head.npz")
    table_mib: PositiveInt = Field(512, description="size of a CSV file in a run folder")
    thumbnail_kib: PositiveInt = Field(256, description="size of a thumbnail in a run folder")

    @classmethod
    def parse(cls, text: str) -> "Limits":
        """The defaults, changed by `name=number` words; KcarsError for an unknown name or a value that is no positive integer."""
        changed = {}
        for word in text.replace(",", " ").split():
            name, equals, value = word.partition("=")
            if not equals or name not in cls.model_fields:
                known = ", ".join(cls.model_fields)
                raise KcarsError(f"{VARIABLE}: {word!r} is not known; expected name=number, with a name of {known}")
            changed[name] = value
        try:
            return cls(**changed)
        except ValidationError as error:
            first = error.errors()[0]
            raise KcarsError(f"{VARIABLE}: {first['loc'][0]}={first['input']}: expected a positive integer") from None


def limits() -> Limits:
    """The limits in force for this process; KcarsError where KCARS_LIMITS is not valid."""
    return _parsed(os.environ.get(VARIABLE, ""))


_parsed = lru_cache(maxsize=8)(Limits.parse)
