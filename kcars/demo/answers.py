"""Answers of the page about photos, by what it was given: no word of how they are shown."""

from dataclasses import dataclass

from kcars.demo.models import Model, Models
from kcars.gallery.search import SearchResult, nearest
from kcars.inference.explain import NAMES, HeatMap
from kcars.inference.photo_source import Photo
from kcars.inference.predictions import Comparison, Prediction


@dataclass(frozen=True)
class Named:
    """What one photo shows, and where the network looked; heat_map: None where the model gives none."""

    prediction: Prediction
    heat_map: HeatMap | None = None


@dataclass(frozen=True)
class Compared:
    """Whether two photos show the same, and what brings them together; heat_maps: of left and right, () without."""

    comparison: Comparison
    heat_maps: tuple[HeatMap, ...] = ()


@dataclass(frozen=True)
class Found:
    """The nearest photos of an index, and the nearest of its names; prediction: None where it has no names."""

    result: SearchResult
    prediction: Prediction | None = None


def named(model: Model, photo: Photo) -> Named:
    """The likeliest names of a photo, five at most; KcarsError where it cannot be read."""
    if model.explainer is None:
        (prediction,) = model.predictor.predict([photo], NAMES)
        return Named(prediction)
    found = model.explainer.name(photo)
    return Named(found.prediction, found.heat_map)


def compared(model: Model, left: Photo, right: Photo) -> Compared:
    """KcarsError where a photo cannot be read."""
    if model.explainer is None:
        return Compared(model.predictor.compare(left, right))
    found = model.explainer.pair(left, right)
    return Compared(found.comparison, (found.left, found.right))


def found(models: Models, photo: Photo, count: int) -> Found:
    """The `count` photos of the gallery that are nearest to one; KcarsError where it cannot be read."""
    assert models.verify and models.gallery  # A page without them has no search.
    model, namer = models.verify.predictor, models.namer
    (vector,) = model.embed([photo])
    result = nearest(models.gallery, model.card["decision"], photo, vector, count)
    return Found(result, namer and namer.nearest(photo, vector, 1))
