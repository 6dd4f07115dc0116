"""The photos of a gallery that are nearest to one, as lines for people and as JSON."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from kcars.core import plain_text
from kcars.core.errors import KcarsError
from kcars.gallery.photos import Kept
from kcars.gallery.store import Gallery
from kcars.inference.photo_source import Box, Photo, shown
from kcars.inference.predictions import percent
from kcars.inference.predictor import Predictor
from kcars.posthoc.decision import PairDecision


@dataclass(frozen=True)
class Match:
    """A photo of the gallery; distance: Euclidean, of the embeddings; probability: of showing the same."""

    kept: Kept
    name: str
    distance: float
    probability: float


@dataclass(frozen=True)
class SearchResult:
    """matches: the nearest to a photo, or to what is in its box, nearest first."""

    photo: str
    box: Box | None
    matches: tuple[Match, ...]


def search_each(model: Predictor, gallery: Gallery, photos: Iterable[Photo], count: int) -> Iterator[SearchResult]:
    """The `count` nearest of the gallery to each photo, one after the other; KcarsError for one that cannot be read."""
    gallery.refuse_other_model(model.card)
    for photo, vector in model.embed_each(photos):
        if isinstance(vector, KcarsError):
            raise vector
        yield nearest(gallery, model.card["decision"], photo, vector, count)


def nearest(gallery: Gallery, decision: dict, photo: Photo, vector: np.ndarray, count: int) -> SearchResult:
    """The `count` nearest of the gallery to a photo's vector (d,); decision: of the model's card."""
    ((rows, distances),) = gallery.vector_index.search(vector[None], count)
    kept = [gallery.photos[row] for row in rows.tolist()]
    likely = PairDecision.of(decision).probability(distances)
    matches = [
        Match(one, one.name(gallery.target), float(distance), float(probability))
        for one, distance, probability in zip(kept, distances, likely, strict=True)
    ]
    return SearchResult(photo.name, photo.box, tuple(matches))


def lines(found: SearchResult) -> Iterator[str]:
    """For people: the photo, then a line a match."""
    yield _line(found.photo) + _boxed(found.box)
    for place, match in enumerate(found.matches, 1):
        named = f"  {match.name}" if match.name else ""
        where = _line(shown_path(match.kept)) + _boxed(match.kept.box)
        yield f"  {place:>3}  distance {match.distance:.3f}  same {percent(match.probability, 1):>6}{named}  {where}"


def json_line(found: SearchResult) -> str:
    """The same as a JSON object; names that nobody knows are null."""
    matches = [
        {
            "path": shown_path(match.kept),
            "name": match.name or None,
            "make": match.kept.make or None,
            "model": match.kept.model or None,
            "box": match.kept.box,
            "distance": match.distance,
            "probability": match.probability,
        }
        for match in found.matches
    ]
    return plain_text.json_line({"photo": found.photo, "box": found.box, "nearest": matches})


def shown_path(kept: Kept) -> str:
    """The path as text that any output takes."""
    return shown(kept.path)


def _line(text: str) -> str:
    return text.replace("\n", "\\n")


def _boxed(box: Box | None) -> str:
    return "" if box is None else f" [{', '.join(f'{edge:g}' for edge in box)}]"
