"""Which name of a gallery a photo is nearest to."""

from collections.abc import Iterable, Iterator

from kcars.answers import Answers, Prediction
from kcars.errors import KcarsError
from kcars.gallery.names import Names
from kcars.gallery.store import Gallery
from kcars.photos_in import Photo
from kcars.predict import Predictor


def name_each(
    model: Predictor, gallery: Gallery, photos: Iterable, top: int = 5, risk: float | None = None
) -> Iterator[Prediction | tuple[Photo, KcarsError]]:
    """Names in the gallery that photos are nearest to, one answer after the other; a bad photo gives itself and its error.

    "unknown" beyond the gallery's own threshold, or the model's where it has none; risk: as in `Predictor.predict`. Raises KcarsError for
    another model than built the gallery, where no photo has a name, and where the model's pairs gave no probabilities.
    """
    gallery.refuse_other_model(model.card)
    if top < 1:
        raise KcarsError(f"top: {top} is no number of names; 1 is the least")
    decision, own = model.card["decision"], gallery.facts["open_set"]
    names, answers = _names(gallery, decision["scale"]), Answers(model.card, risk)
    threshold = (own or decision)["threshold"]
    for photo, vector in model.embed_each(photos):
        if isinstance(vector, KcarsError):
            yield photo, vector
        else:
            yield answers.nearest_name(photo.name, names.names, names.distances(vector), top, threshold, photo.box)


def _names(gallery: Gallery, scale: float | None) -> Names:
    named = gallery.names()
    if not any(named):
        raise KcarsError(f"index {gallery.folder}: no photo in it has a name; kcars index enroll gives photos one")
    names = Names.of(named, gallery.vector_index, scale)
    if names is None:
        raise KcarsError(f"index {gallery.folder}: its model tells no probability of pairs, by which photos are named")
    return names
