"""The schema of card.json, checked whenever a model card is read or written."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kcars.schemas import Number, Part, Positive, Sha256, Share, Text, parsed

MOST_CLASSES, MOST_DIMENSIONS, LARGEST_PX = 1_000_000, 65_536, 1_024


class Classes(Part):
    names: list[Text] = Field(max_length=MOST_CLASSES)
    makes: list[Text] = Field(max_length=MOST_CLASSES)

    @model_validator(mode="after")
    def _a_make_each(self):
        if self.makes and len(self.makes) != len(self.names):
            raise ValueError(
                f"makes: {len(self.makes)} makes for {len(self.names)} names; expected one per name, or none"
            )
        return self


class Input(Part):
    size_px: int = Field(ge=1, le=LARGEST_PX)
    padding: float = Field(ge=0, le=10)
    crop: Text
    learned_in_boxes: bool
    mirror: bool
    shift: float = Field(ge=0, lt=1)
    unit: bool


class Answered(Part):
    """Confidence thresholds for the answer "unknown", and the error rate above each."""

    least: list[Number]
    risk: list[Share]

    @model_validator(mode="after")
    def _alike(self):
        if len(self.least) != len(self.risk):
            raise ValueError(f"{len(self.least)} confidences for {len(self.risk)} risks")
        return self


class Temperature(Part):
    temperature: Positive
    answered: Answered | dict[None, None] | None = None


class PairDecision(Part):
    threshold: Number
    scale: Annotated[Number, Field(ge=0)]
    offset: Number
    answered: Answered | dict[None, None] | None = None


class Entry(Part):
    value: float | None
    low: float | None = None
    high: float | None = None


class ModelFile(Part):
    sha256: Sha256


class Card(Part):
    model_fingerprint: Text | None = None
    target: Text
    classes: Classes
    input: Input
    strategy: Text = ""
    deciding: Text | None = None
    scores: dict[Text, Entry] = {}
    files: dict[Text, ModelFile] | None = None


class Classifier(Card):
    task: Literal["classify"]
    embedding: int | None
    decision: Temperature

    @model_validator(mode="after")
    def _names_something(self):
        if not self.classes.names:
            raise ValueError("classes.names is empty; a classifier needs at least one name")
        return self


class Verifier(Card):
    task: Literal["verify"]
    embedding: int = Field(ge=1, le=MOST_DIMENSIONS)
    decision: PairDecision


class _Task(Part):
    task: Literal["classify", "verify"]


def check(card: dict, where, remedy: str) -> None:
    """Raises KcarsError with `where`, the key and the remedy if a card cannot be used."""
    task = parsed(_Task, card, where, remedy).task
    parsed({"classify": Classifier, "verify": Verifier}[task], card, where, remedy)
