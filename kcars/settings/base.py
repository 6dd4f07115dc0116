"""What every section of a strategy is made of."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen and strict: an unknown key or a value of another type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
