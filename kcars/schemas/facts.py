"""The schema of run.json: the facts about a run."""

import os
from typing import Annotated

from pydantic import AfterValidator, Field, InstanceOf, NonNegativeInt, PositiveFloat, PositiveInt

from kcars.schemas import Part
from kcars.schemas.scores import Answered

MOST_PLACE_BYTES = 4096  # Maximum length of a path on Linux.


def _of_a_file(place: str) -> str:
    try:
        name = os.fsencode(place)
    except UnicodeEncodeError:
        name = b"\0"
    if b"\0" in name or len(name) > MOST_PLACE_BYTES:
        raise ValueError("not a valid file name")
    return place


Place = Annotated[InstanceOf[str], AfterValidator(_of_a_file)]  # A path; names may contain bytes that are not UTF-8.


class Planned(Part):
    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    steps_per_epoch: Annotated[int, Field(ge=1, le=2**32)]


class Data(Part):
    """The training dataset of a run."""

    source: Place
    fingerprint: str
    split: str = ""
    missing_photos: NonNegativeInt = 0
    bad_photos: list[str] = []
    training_photos: NonNegativeInt = 0
    training_photos_in_boxes: NonNegativeInt = 0
    validation_photos: NonNegativeInt = 0
    test_photos: NonNegativeInt = 0
    test_photos_of_unknown_classes: NonNegativeInt = 0
    classes: NonNegativeInt = 0


class Chosen(Part):
    """The epoch, the fitting of a head and the decision that all folds chose together."""

    epoch: PositiveInt
    folds: NonNegativeInt
    method: str | None = None
    regularization: float | None = None
    shrinkage: float | None = None
    temperature: PositiveFloat | None = None
    answered: Answered | None = None
    score: float | None = None
    threshold: float | None = None
    scale: float | None = None
    offset: float | None = None


class Weights(Part):
    """The initial weights of the network."""

    file: Place
    sha256: str


class RunFile(Part):
    """The whole file; its settings are checked as a strategy, key by key."""

    format: int
    strategy: str
    finished: bool
    settings: dict
    data: Data
    versions: dict[str, str]
    machine: dict[str, str | int | float | None]
    planned: Planned
    chosen: Chosen | None = None
    weights: Weights | None = None
    part_of: str | None = None
