"""The schema of classes.json: the classes of a run, in the order of its outputs."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kcars.schemas import Part

Id = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class ClassesFile(Part):
    target: Literal["make", "model"]
    ids: Annotated[list[Id], Field(min_length=1)]
    names: list[str]
    makes: list[str] = []
    named: bool = True

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("a class number is given twice")
        if len(self.names) != len(self.ids) or len(self.makes) not in (0, len(self.ids)):
            raise ValueError("names and class numbers differ in length")
        return self
