"""Models of the page: at most one classifier, one verifier and one index."""

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
    """A run or an export. explainer: for heat maps, None if unavailable; no_maps: then the reason, a sentence."""

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
    """classify: classifier; verify: verifier; gallery: index for searches with verify; each None if not given.

    namer: names photos by the gallery, None if it has no names.
    """

    classify: Model | None = None
    verify: Model | None = None
    gallery: Gallery | None = None
    namer: Namer | None = None

    def all(self) -> list[Model]:
        return [model for model in (self.classify, self.verify) if model]


def load(place: Path) -> Model:
    """Load the Model of a run folder or an export; errors as in `kcars.inference.predictor.load`."""
    if not (place / "run.json").is_file():
        reason = "An export has no gradients and therefore no heat maps; use the exported run to see them."
        return Model(predict.load(place), no_maps=reason)
    if reason := why_no_maps():
        return Model(predict.load(place), no_maps=f"Heat maps are not available: {reason}.")
    explainer = explain.load(place)
    return Model(explainer.predictor, explainer)


def load_all(places: Sequence[Path], index: Path | None = None) -> Models:
    """Load the models of runs and exports, in any order, and an index.

    Without a verifier, the model that built the index is loaded. Raises KcarsError for two models of one task, and for an
    index of another model.
    """
    found = Models()
    for place in places:
        model = load(place)
        if other := getattr(found, model.task):
            raise KcarsError(f"{place}: {WORK[model.task]}, as {other.card['place']} does; give one model per task")
        found = replace(found, **{model.task: model})
    return found if index is None else _with_index(found, index)


def _with_index(found: Models, index: Path) -> Models:
    facts = read_facts(index)
    verify = found.verify or load(model_place(index, facts))
    gallery = Gallery.open(index)
    gallery.refuse_other_model(verify.card)
    try:
        namer = Namer(gallery, verify.card)
    except KcarsError:  # Search works without names or pair probabilities.
        namer = None
    return replace(found, verify=verify, gallery=gallery, namer=namer)
