"""Which name of a gallery a photo is nearest to."""

from collections.abc import Iterable, Iterator

import numpy as np

from kcars.core.errors import KcarsError
from kcars.gallery.names import Names
from kcars.gallery.store import Gallery
from kcars.inference.photo_source import Photo
from kcars.inference.predictions import Answers, Prediction
from kcars.inference.predictor import Predictor
from kcars.posthoc.decision import PairDecision


class Namer:
    """Names photos by the nearest of a gallery's names, "unknown" beyond its own threshold, or the model's where it has none."""

    def __init__(self, gallery: Gallery, card: dict, risk: float | None = None):
        """card: of the model; risk: as in `Predictor.predict`. KcarsError where no photo has a name, or pairs gave no probabilities."""
        decision, own = card["decision"], gallery.facts["open_set"]
        self._names, self._answers = _names(gallery, decision["scale"]), Answers(card, risk)
        self._threshold = PairDecision.of(own or decision).threshold

    def nearest(self, photo: Photo, vector: np.ndarray, top: int) -> Prediction:
        """Of a photo by its vector (d,)."""
        distances = self._names.distances(vector)
        return self._answers.nearest_name(photo.name, self._names.names, distances, top, self._threshold, photo.box)


def name_each(
    model: Predictor, gallery: Gallery, photos: Iterable, top: int = 5, risk: float | None = None
) -> Iterator[Prediction | tuple[Photo, KcarsError]]:
    """Names in the gallery that photos are nearest to, one answer after the other; a bad photo gives itself and its error.

    Raises KcarsError as Namer does, and for another model than built the gallery.
    """
    gallery.refuse_other_model(model.card)
    if top < 1:
        raise KcarsError(f"top: {top} is no number of names; 1 is the least")
    namer = Namer(gallery, model.card, risk)
    for photo, vector in model.embed_each(photos):
        yield (photo, vector) if isinstance(vector, KcarsError) else namer.nearest(photo, vector, top)


def _names(gallery: Gallery, scale: float | None) -> Names:
    named = gallery.names()
    if not any(named):
        raise KcarsError(f"index {gallery.folder}: no photo in it has a name; kcars index enroll gives photos one")
    names = Names.of(named, gallery.vector_index, scale)
    if names is None:
        raise KcarsError(f"index {gallery.folder}: its model tells no probability of pairs, by which photos are named")
    return names
