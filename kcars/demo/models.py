"""What the page answers by: at most one model that names, one that compares, and one index."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kcars.core.errors import KcarsError
from kcars.gallery.naming import Namer
from kcars.gallery.store import Gallery, model_place, read_facts
from kcars.inference import explain
from kcars.inference import predictor as predict
from kcars.inference.explain import Explainer
from kcars.inference.predictor import Predictor
from kcars.models.grad_cam import why_no_maps

WORK = {"classify": "names cars", "verify": "compares photos"}


@dataclass(frozen=True)
class Model:
    """A run or an export. explainer: gives heat maps, None where there are none; no_maps: then why, in a sentence."""

    predictor: Predictor
    explainer: Explainer | None = None
    no_maps: str = ""

    @property
    def card(self) -> dict:
        return self.predictor.card

    @property
    def task(self) -> str:
        return self.predictor.task


@dataclass(frozen=True)
class Models:
    """classify names, verify compares and embeds, gallery is searched with verify; each None where it was not given.

    namer: names by the gallery, None where it has no names.
    """

    classify: Model | None = None
    verify: Model | None = None
    gallery: Gallery | None = None
    namer: Namer | None = None

    def all(self) -> list[Model]:
        return [model for model in (self.classify, self.verify) if model]


def load(place: Path) -> Model:
    """The Model of a run folder or an export; KcarsError as of `kcars.inference.predictor.load`."""
    if not (place / "run.json").is_file():
        told = "An export has no gradients, so that no heat map shows where it looked; the run that it was made of shows one."
        return Model(predict.load(place), no_maps=told)
    if told := why_no_maps():
        return Model(predict.load(place), no_maps=f"No heat map shows where it looked: {told}.")
    explainer = explain.load(place)
    return Model(explainer.predictor, explainer)


def load_all(places: Sequence[Path], index: Path | None = None) -> Models:
    """Models of runs and exports, in any order, and an index.

    An index brings the model that built it where none of the others compares. Raises KcarsError for two models of one task, and for
    an index of another model.
    """
    found = Models()
    for place in places:
        model = load(place)
        if other := getattr(found, model.task):
            raise KcarsError(
                f"{place}: {WORK[model.task]}, as {other.card['place']} does; the page has room for one of a kind"
            )
        found = replace(found, **{model.task: model})
    return found if index is None else _with_index(found, index)


def _with_index(found: Models, index: Path) -> Models:
    facts = read_facts(index)
    verify = found.verify or load(model_place(index, facts))
    gallery = Gallery.open(index)
    gallery.refuse_other_model(verify.card)
    try:
        namer = Namer(gallery, verify.card)
    except KcarsError:  # The gallery has no names, or its model no probabilities: photos are found all the same.
        namer = None
    return replace(found, verify=verify, gallery=gallery, namer=namer)
