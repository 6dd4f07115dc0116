"""Predictions for the page, independent of their presentation."""

from dataclasses import dataclass

from kcars.demo.models import Model, Models
from kcars.gallery.search import SearchResult, nearest
from kcars.inference.explain import NAMES, HeatMap
from kcars.inference.photo_source import Photo
from kcars.inference.predictions import Comparison, Prediction


@dataclass(frozen=True)
class Named:
    """The prediction and heat map of a photo; heat_map: None if the model has none."""

    prediction: Prediction
    heat_map: HeatMap | None = None


@dataclass(frozen=True)
class Compared:
    """The comparison and heat maps of two photos; heat_maps: of left and right, or ()."""

    comparison: Comparison
    heat_maps: tuple[HeatMap, ...] = ()


@dataclass(frozen=True)
class Found:
    """The nearest photos of an index, and the nearest name; prediction: None if the index has no names."""

    result: SearchResult
    prediction: Prediction | None = None


def named(model: Model, photo: Photo) -> Named:
    """Predict at most five names of a photo; KcarsError if it cannot be read."""
    if model.explainer is None:
        (prediction,) = model.predictor.predict([photo], NAMES)
        return Named(prediction)
    found = model.explainer.name(photo)
    return Named(found.prediction, found.heat_map)


def compared(model: Model, left: Photo, right: Photo) -> Compared:
    """Compare two photos; KcarsError if one cannot be read."""
    if model.explainer is None:
        return Compared(model.predictor.compare(left, right))
    found = model.explainer.pair(left, right)
    return Compared(found.comparison, (found.left, found.right))


def found(models: Models, photo: Photo, count: int) -> Found:
    """Find the `count` nearest photos of the gallery; KcarsError if the photo cannot be read."""
    assert models.verify and models.gallery  # Search requires both.
    model, namer = models.verify.predictor, models.namer
    (vector,) = model.embed([photo])
    result = nearest(models.gallery, model.card["decision"], photo, vector, count)
    return Found(result, namer and namer.nearest(photo, vector, 1))
