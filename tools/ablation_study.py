"""What an ablation study is: one strict YAML file with a budget, a reference, and variants of a strategy."""

import json
import re
from itertools import product
from pathlib import Path

from pydantic import Field, ValidationError, field_validator

from kcars.core.errors import KcarsError
from kcars.settings import Settings
from kcars.settings.effects import names_that_affect
from kcars.settings.strategy import read_yaml

SCORING = sorted(names_that_affect("scoring"))
SETTLED = {
    "train.epochs": "the budget says how many",
    "train.seed": "--seeds says which",
    "train.max_minutes": "the budget says how long",
}


def settings_of(texts: list[str], where: str) -> list[str]:
    """The `key=value` texts; ValueError for one that is none, or that the study itself settles."""
    for text in texts:
        key, equals, _ = text.partition("=")
        if not equals or not key:
            raise ValueError(f"{where}: {text!r}: expected key=value, such as model.drop_path=0.1")
        if key in SETTLED:
            raise ValueError(f"{where}: {key} cannot be set: {SETTLED[key]}")
    return texts


class Budget(Settings):
    """Work that each variant may spend: so many photos through the base's network, at this size."""

    photos: int = Field(gt=0)
    size_px: int = Field(ge=32, le=1024)


class Thin(Settings):
    """Training lists thinned to an exponential tail: the largest class keeps `ratio` times what the smallest does."""

    ratio: float = Field(gt=1, le=1000)
    seed: int = Field(0, ge=0, lt=2**32)


class Beginning(Settings):
    """A first run, which spends a share of the budget and gives the variant's backbone its first weights.

    strategy: its own, with `set` alone; without one the base's, with the study's settings and then these.
    data: a dataset of its own, `drawn` for drawn cars; without one the study's.
    """

    share: float = Field(gt=0, lt=1)
    strategy: str | None = None
    set: list[str] = []
    data: str | None = None


class Variant(Settings):
    """One line of the table.

    strategy: in the base's place; set: after the study's settings; of: another variant, whose trained runs are scored anew
    with `set`; sweep: setting -> values, of which validation chooses; begins_with: what is learned before.
    """

    strategy: str | None = None
    set: list[str] = []
    of: str | None = None
    sweep: dict[str, list[float | int | str]] = {}
    begins_with: Beginning | None = None

    @property
    def points(self) -> list[tuple[str, ...]]:
        """Settings of each point of the sweep; one without any where nothing is swept."""
        each = [[f"{key}={json.dumps(value)}" for value in values] for key, values in self.sweep.items()]
        return list(product(*each))


class Study(Settings):
    """A whole study; base, set: the strategy that all variants but those with one of their own change, and how."""

    about: str = ""
    base: str
    set: list[str] = []
    budget: Budget
    reference: str
    variants: dict[str, Variant] = Field(min_length=1)
    thin: Thin | None = None

    @field_validator("variants", mode="before")
    @classmethod
    def _lists_are_settings(cls, given):
        if not isinstance(given, dict):
            return given
        return {name: {"set": each} if isinstance(each, list) else each for name, each in given.items()}


def read(path: Path, photos: int | None = None) -> Study:
    """The study of a file, with a budget of so many photos instead of its own; KcarsError with the key and what is allowed."""
    if photos is not None and photos < 1:
        raise KcarsError(f"--photos: {photos} found; 1 or more are allowed")
    given = read_yaml(path, "a study", list(Study.model_fields))
    try:
        study = Study.model_validate(given)
    except ValidationError as error:
        unknown_first = sorted(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise KcarsError(f"{path}: {_explain(unknown_first[0])}") from None
    try:
        _refuse(study)
    except ValueError as error:
        raise KcarsError(f"{path}: {error}") from None
    budget = study.budget.model_copy(update={"photos": photos or study.budget.photos})
    return study.model_copy(update={"budget": budget})


def slug(name: str) -> str:
    """A variant's name as a folder's: `arcface at 64 px` -> `arcface-at-64-px`."""
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")


def _refuse(study: Study) -> None:
    """ValueError for what does not fit together."""
    names: dict[str, str] = {}
    settings_of(study.set, "set")
    for name, variant in study.variants.items():
        where = f"variants.{name}"
        if not slug(name) or slug(name) in names:
            raise ValueError(f"{where}: another name is needed, which differs from others' in letters and digits")
        names[slug(name)] = name
        if "," in name:
            raise ValueError(f"{where}: a name without commas is needed: --only takes names with commas between them")
        settings_of(variant.set, f"{where}.set")
        settings_of([f"{key}=" for key in variant.sweep], f"{where}.sweep")
        if variant.begins_with:
            settings_of(variant.begins_with.set, f"{where}.begins_with.set")
        if variant.of is not None:
            _refuse_scored_anew(study, variant, where)
    if study.reference not in study.variants:
        raise ValueError(f"reference: {study.reference!r} is no variant; choose one of {', '.join(study.variants)}")
    if empty := [name for name, variant in study.variants.items() if not variant.points]:
        raise ValueError(f"variants.{empty[0]}.sweep: a setting has no values")


def _refuse_scored_anew(study: Study, variant: Variant, where: str) -> None:
    trained = [name for name, other in study.variants.items() if other.of is None]
    if variant.of not in trained:
        raise ValueError(
            f"{where}.of: {variant.of!r} is no variant that is trained; choose one of {', '.join(trained)}"
        )
    if variant.strategy or variant.sweep or variant.begins_with:
        raise ValueError(f"{where}: beside `of`, whose runs are scored anew, only `set` may stand")
    for text in variant.set or [""]:
        if text.partition("=")[0] not in SCORING:
            raise ValueError(f"{where}.set: {text!r} changes more than scoring; what may stand: {', '.join(SCORING)}")


def _explain(error: dict) -> str:
    place, message = ".".join(map(str, error["loc"])), error["msg"]
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown key; known here: {', '.join(_section(error['loc'][:-1]).model_fields)}"
    if error["type"] == "missing":
        return f"{place}: is missing; known here: {', '.join(_section(error['loc'][:-1]).model_fields)}"
    return f"{place}: {message} (found {error['input']!r})"


def _section(place: tuple) -> type[Settings]:
    """What stands at a place such as ("variants", "arcface")."""
    if place[:1] == ("variants",):
        return Beginning if "begins_with" in place[2:] else Variant
    return {(): Study, ("budget",): Budget, ("thin",): Thin}[place]
