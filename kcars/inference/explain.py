"""Explains predictions of a run with Grad-CAM heat maps, as numbers and as a picture."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kcars.core.errors import KcarsError
from kcars.images.boxes import part_of
from kcars.images.decode import full_size, named, photo_bytes
from kcars.images.heat import overlaid
from kcars.inference.photo_input import as_photo
from kcars.inference.photo_source import Photo
from kcars.inference.predictions import Answers, Comparison, Prediction, percent
from kcars.inference.predictor import CARD, COMPARES_NOTHING, NAMES_NOTHING, Predictor, over_network
from kcars.metrics.calibration import probabilities
from kcars.models.grad_cam import GradCam, why_no_maps
from kcars.posthoc.decision import PairDecision
from kcars.runs import model_card as cards
from kcars.runs.fitted import pipeline_of
from kcars.runs.run import Run

SHOWN_PX = 720  # The longest side of a photo in a picture.
NAMES = 5  # Most probable classes in an explanation.


@dataclass(frozen=True)
class HeatMap:
    """The heat map of a photo.

    heat: (h, w) float32, positive for regions that support the prediction; part: left, top, right, bottom in pixels of the
    upright photo, the network's input, which the map covers; seen: that part (h, w, 3) uint8, in its aspect ratio.
    """

    photo: str
    heat: np.ndarray
    part: tuple[int, int, int, int]
    seen: np.ndarray

    def overlay(self) -> np.ndarray:
        """Return the part of the photo in grey with the map's colours over it, (h, w, 3) uint8."""
        return overlaid(self.seen, self.heat)


@dataclass(frozen=True)
class ClassExplanation:
    """A classifier's prediction, and the explained class with its probability."""

    prediction: Prediction
    name: str
    probability: float
    heat_map: HeatMap


@dataclass(frozen=True)
class PairExplanation:
    """A verifier's prediction, and the heat maps of both photos."""

    comparison: Comparison
    left: HeatMap
    right: HeatMap


class Explainer:
    """Predicts and explains photos, with the same inputs and errors as `kcars.inference.predictor.Predictor`.

    predictor: for predictions; cam: for heat maps of a photo read by the predictor.
    """

    def __init__(self, predictor: Predictor, cam: GradCam):
        self.predictor, self.cam = predictor, cam

    @property
    def card(self) -> dict:
        return self.predictor.card

    def name(self, photo, name: str | None = None) -> ClassExplanation:
        """Explain the predicted class, or the class `name`; KcarsError for an unknown class."""
        self.predictor.refuse_other_task("classify", NAMES_NOTHING)
        photo, names = as_photo(photo), self.card["classes"]["names"]
        pixels, part, seen = self._given(photo)
        logits = self.predictor.outputs(pixels[None])
        prediction = Answers(self.card).names(photo.name, logits[0], NAMES, photo.box)
        label = int(logits.argmax()) if name is None else class_called(name, names)
        probability = probabilities(logits, self.card["decision"]["temperature"])[0, label]
        (heat,) = self.cam.of_classes(pixels[None], np.array([label]))
        return ClassExplanation(prediction, names[label], float(probability), HeatMap(photo.name, heat, part, seen))

    def pair(self, left, right) -> PairExplanation:
        """Explain the comparison of two photos: the regions that make them similar."""
        self.predictor.refuse_other_task("verify", COMPARES_NOTHING)
        photos = as_photo(left), as_photo(right)
        given = [self._given(photo) for photo in photos]
        vectors = self.predictor.outputs(np.stack([pixels for pixels, _, _ in given]))
        comparison = Answers(self.card).comparison(photos[0].name, photos[1].name, vectors[0], vectors[1])
        heats = self.cam.of_pairs(*(pixels[None] for pixels, _, _ in given))
        sides = [
            HeatMap(photo.name, heat[0], part, seen)
            for photo, heat, (_, part, seen) in zip(photos, heats, given, strict=True)
        ]
        return PairExplanation(comparison, *sides)

    def _given(self, photo: Photo) -> tuple[np.ndarray, tuple, np.ndarray]:
        """Return (the network's input, its box in the photo, the part in its aspect ratio)."""
        pixels = self.predictor.read(photo)
        if isinstance(pixels, KcarsError):
            raise pixels
        whole = photo.source
        if not isinstance(whole, np.ndarray):
            with named(photo.name):
                whole = full_size(whole if isinstance(whole, bytes) else photo_bytes(whole))
        height, width = whole.shape[:2]
        part = part_of(height, width, photo.box, self.card["input"]["padding"])
        left, top, right, bottom = part
        return pixels, part, _thumbnail(whole[top:bottom, left:right])


def load(place: str | Path, last: bool = False, moved: bool = True) -> Explainer:
    """Load an Explainer from a run folder; KcarsError if it is not a run, is an export, or the backend of Keras has no gradients here.

    last: see GradCam; moved: whether to average over shifted copies of a photo, if the run does so.
    """
    if reason := why_no_maps():
        raise KcarsError(reason)
    place = Path(place)
    if not (place / "run.json").is_file():
        for folder in (place, *place.parents[:2]):
            if (folder / CARD).is_file():
                raise KcarsError(f"{place}: an export has no gradients for explanations; name the exported run")
    run = Run.open(place)
    card: dict[str, Any] = cards.of_run(run) | {"place": str(place)}
    if not moved:
        card["input"]["shift"] = 0.0
    from kcars.runs.keras_setup import start

    start(run.strategy().train, "float32")
    from kcars.runs.checkpoint import answering_network

    network, pipeline = answering_network(run), pipeline_of(run)
    return Explainer(over_network(card, network, pipeline), GradCam(network, card["input"]["mirror"], pipeline, last))


def class_called(name: str, names: list[str]) -> int:
    """Return the number of a class by its name, ignoring case; KcarsError lists similar names."""
    plain = [one.casefold() for one in names]
    if name.casefold() in plain:
        return plain.index(name.casefold())
    near = [names[plain.index(one)] for one in difflib.get_close_matches(name.casefold(), plain, 3, 0.0)]
    raise KcarsError(f"--class: {name!r} is not one of the {len(names)} classes; similar ones are {', '.join(near)}")


def name_facts(why: ClassExplanation) -> dict:
    """Return the prediction, the explained class, and the map, for JSON."""
    named = [{"name": name, "probability": round(value, 6)} for name, value in why.prediction.names]
    found = {"box": why.prediction.box, "names": named, "explained": why.name, "probability": round(why.probability, 6)}
    return {"photo": why.heat_map.photo, **found, **_map_facts(why.heat_map)}


def pair_facts(why: PairExplanation, card: dict) -> dict:
    """Return the prediction and both maps, for JSON."""
    found = {name: getattr(why.comparison, name) for name in ("answer", "same", "distance", "probability")}
    sides = {side: {"photo": one.photo, **_map_facts(one)} for side, one in (("left", why.left), ("right", why.right))}
    return {**found, "threshold": PairDecision.of(card["decision"]).threshold, **sides}


def _map_facts(heat_map: HeatMap) -> dict:
    return {"part": list(heat_map.part), "map": [[float(f"{heat:.4g}") for heat in row] for row in heat_map.heat]}


def name_figure(why: ClassExplanation):
    """Return a matplotlib Figure of the photo, the heat map over it, and the prediction."""
    from kcars.training.tensorboard.drawings import explained

    first, sure = why.prediction.names[0]
    title = "Evidence" if why.name == first else f"Evidence for {why.name}: {percent(why.probability)}"
    return explained([_pictures(why.heat_map)], _scale(), f"{first}: {percent(sure)}", title)


def pair_figure(why: PairExplanation, card: dict):
    """Return a matplotlib Figure of both photos, the heat maps over them, and the prediction."""
    from kcars.training.tensorboard.drawings import explained

    found, target = why.comparison, card["target"]
    answer = f"Same {target}" if found.same else f"Different {target}s"
    measured = f"distance {found.distance:.2f}, threshold {PairDecision.of(card['decision']).threshold:.2f}"
    title = f"{answer}: {measured}; probability of the same {target} {percent(found.probability)}"
    return explained([_pictures(why.left), _pictures(why.right)], _scale(), title, "Evidence that both are the same")


def _pictures(heat_map: HeatMap) -> tuple[str, np.ndarray, np.ndarray]:
    note = "" if heat_map.heat.max() > 0 else " (no supporting region)"
    return Path(heat_map.photo).name + note, heat_map.seen, heat_map.overlay()


def _scale() -> np.ndarray:
    """Return the colour scale from least to most heat, (1, 64, 3) uint8, over grey."""
    heat = np.linspace(0, 1, 64)[None]
    return overlaid(np.full((1, 64, 3), 128, np.uint8), heat)


def _thumbnail(photo: np.ndarray) -> np.ndarray:
    from PIL import Image

    picture = Image.fromarray(photo)
    picture.thumbnail((SHOWN_PX, SHOWN_PX))
    return np.asarray(picture)
