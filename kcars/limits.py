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
    json_mib: PositiveInt = Field(64, description="size of a JSON or YAML file")
    yaml_nodes: PositiveInt = Field(10_000, description="values in a YAML file, with aliases written out")
    arrays_mib: PositiveInt = Field(8_192, description="unpacked size of an .npz file")
    model_mib: PositiveInt = Field(2_047, description="size of a model file: ONNX, weights, variables of a SavedModel")
    graph_mib: PositiveInt = Field(256, description="size of a SavedModel's graph, without its variables")
    index_mib: PositiveInt = Field(65_536, description="size of an index's vectors")
    detector_megapixels: PositiveInt = Field(16, description="pixels that a detector takes, in millions")
    detector_boxes: PositiveInt = Field(1_000, description="vehicles that a detector may find in a photo")

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
