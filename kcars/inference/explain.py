"""Why a run answers as it does about photos: its answer, with the map of where it looked, as numbers and as a picture."""

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
NAMES = 5  # The likeliest, that an answer tells.


@dataclass(frozen=True)
class HeatMap:
    """Where a network looked in a photo.

    heat: (h, w) float32, above 0 where it spoke for the answer; part: left, top, right, bottom in pixels of the upright
    photo of what the network was given, over all of which the map reaches; seen: that part (h, w, 3) uint8, in its shape.
    """

    photo: str
    heat: np.ndarray
    part: tuple[int, int, int, int]
    seen: np.ndarray

    def overlay(self) -> np.ndarray:
        """The part of the photo in grey, with the map's colours over it, (h, w, 3) uint8."""
        return overlaid(self.seen, self.heat)


@dataclass(frozen=True)
class ClassExplanation:
    """A classifier's answer, and the class that is explained with its probability."""

    prediction: Prediction
    name: str
    probability: float
    heat_map: HeatMap


@dataclass(frozen=True)
class PairExplanation:
    """A verifier's answer, and where it looked in both photos."""

    comparison: Comparison
    left: HeatMap
    right: HeatMap


class Explainer:
    """Answers about photos, which are given as `kcars.inference.predictor.Predictor` takes them, and why. Raises KcarsError as that does.

    predictor: gives the answers; cam: gives the maps, of a photo as the predictor reads it.
    """

    def __init__(self, predictor: Predictor, cam: GradCam):
        self.predictor, self.cam = predictor, cam

    @property
    def card(self) -> dict:
        return self.predictor.card

    def name(self, photo, name: str | None = None) -> ClassExplanation:
        """Why it names what it does; with `name`, what speaks for that class. KcarsError also where it knows no such class."""
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
        """Why it takes two photos for the same, or for different: what brings them together."""
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
        """(what the network is given, which part of the photo that is, the part in its own shape)."""
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
    """An Explainer over a run folder; KcarsError where it is none, or an export, or Keras runs on a library without gradients here.

    last: as of GradCam; moved: whether answers are also averaged over moved copies of a photo, where the run does that.
    """
    if told := why_no_maps():
        raise KcarsError(told)
    place = Path(place)
    if not (place / "run.json").is_file():
        for folder in (place, *place.parents[:2]):
            if (folder / CARD).is_file():
                raise KcarsError(f"{place}: an export has no gradients to explain by; name the run that it was made of")
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
    """The number of a class by its name, whatever its case; KcarsError tells those that are spelt alike."""
    plain = [one.casefold() for one in names]
    if name.casefold() in plain:
        return plain.index(name.casefold())
    near = [names[plain.index(one)] for one in difflib.get_close_matches(name.casefold(), plain, 3, 0.0)]
    raise KcarsError(f"--class: {name!r} is none of the {len(names)} classes; the most alike are {', '.join(near)}")


def name_facts(why: ClassExplanation) -> dict:
    """For JSON: the answer, the class that is explained, and the map."""
    named = [{"name": name, "probability": round(value, 6)} for name, value in why.prediction.names]
    found = {"box": why.prediction.box, "names": named, "explained": why.name, "probability": round(why.probability, 6)}
    return {"photo": why.heat_map.photo, **found, **_map_facts(why.heat_map)}


def pair_facts(why: PairExplanation, card: dict) -> dict:
    """For JSON: the answer and both maps."""
    found = {name: getattr(why.comparison, name) for name in ("answer", "same", "distance", "probability")}
    sides = {side: {"photo": one.photo, **_map_facts(one)} for side, one in (("left", why.left), ("right", why.right))}
    return {**found, "threshold": PairDecision.of(card["decision"]).threshold, **sides}


def _map_facts(heat_map: HeatMap) -> dict:
    return {"part": list(heat_map.part), "map": [[float(f"{heat:.4g}") for heat in row] for row in heat_map.heat]}


def name_figure(why: ClassExplanation):
    """A matplotlib Figure: the photo, the map over it, and what the answer was."""
    from kcars.training.tensorboard.drawings import explained

    first, sure = why.prediction.names[0]
    told = "What speaks for it" if why.name == first else f"What speaks for {why.name}: {percent(why.probability)}"
    return explained([_pictures(why.heat_map)], _scale(), f"{first}: {percent(sure)}", told)


def pair_figure(why: PairExplanation, card: dict):
    """A matplotlib Figure: both photos, the maps over them, and what the answer was."""
    from kcars.training.tensorboard.drawings import explained

    found, target = why.comparison, card["target"]
    answer = f"Same {target}" if found.same else f"Different {target}s"
    measured = f"distance {found.distance:.2f}, threshold {PairDecision.of(card['decision']).threshold:.2f}"
    title = f"{answer}: {measured}; probability of being the same {percent(found.probability)}"
    return explained([_pictures(why.left), _pictures(why.right)], _scale(), title, "What brings the two together")


def _pictures(heat_map: HeatMap) -> tuple[str, np.ndarray, np.ndarray]:
    told = "" if heat_map.heat.max() > 0 else " (no place speaks for it)"
    return Path(heat_map.photo).name + told, heat_map.seen, heat_map.overlay()


def _scale() -> np.ndarray:
    """The colours of heat from little to most, (1, 64, 3) uint8, over grey."""
    heat = np.linspace(0, 1, 64)[None]
    return overlaid(np.full((1, 64, 3), 128, np.uint8), heat)


def _thumbnail(photo: np.ndarray) -> np.ndarray:
    from PIL import Image

    picture = Image.fromarray(photo)
    picture.thumbnail((SHOWN_PX, SHOWN_PX))
    return np.asarray(picture)
