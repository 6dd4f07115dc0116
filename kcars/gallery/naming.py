"""Names photos by the nearest name in a gallery."""

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
    """Names photos by the gallery's nearest name; "unknown" beyond the gallery's threshold, or else the model's."""

    def __init__(self, gallery: Gallery, card: dict, risk: float | None = None):
        """card: of the model; risk: as in `Predictor.predict`. KcarsError if no photo has a name, or the model has no pair probabilities."""
        decision, own = card["decision"], gallery.facts["open_set"]
        self._names, self._answers = _names(gallery, decision["scale"]), Answers(card, risk)
        self._threshold = PairDecision.of(own or decision).threshold

    def nearest(self, photo: Photo, vector: np.ndarray, top: int) -> Prediction:
        """Predict the name of a photo from its vector (d,)."""
        distances = self._names.distances(vector[None])[0]
        return self._answers.nearest_name(photo.name, self._names.names, distances, top, self._threshold, photo.box)


def name_each(
    model: Predictor, gallery: Gallery, photos: Iterable, top: int = 5, risk: float | None = None
) -> Iterator[Prediction | tuple[Photo, KcarsError]]:
    """Yield the predicted name of each photo in order; for a bad photo, yield it with its error.

    Raises the errors of Namer, and KcarsError if the gallery was built with another model.
    """
    gallery.refuse_other_model(model.card)
    if top < 1:
        raise KcarsError(f"top: {top} is too few; give 1 or more")
    namer = Namer(gallery, model.card, risk)
    for photo, vector in model.embed_each(photos):
        yield (photo, vector) if isinstance(vector, KcarsError) else namer.nearest(photo, vector, top)


def _names(gallery: Gallery, scale: float | None) -> Names:
    named = gallery.names()
    if not any(named):
        raise KcarsError(f"index {gallery.folder}: no photo has a name; kcars index enroll names photos")
    names = Names.of(named, gallery.vector_index, scale)
    if names is None:
        raise KcarsError(f"index {gallery.folder}: its model has no pair probabilities, which naming needs")
    return names
