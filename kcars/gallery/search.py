"""Nearest-neighbour search in a gallery, with text and JSON output."""

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
    """A photo of the gallery; distance: Euclidean, of the embeddings; probability: that both show the same."""

    kept: Kept
    name: str
    distance: float
    probability: float


@dataclass(frozen=True)
class SearchResult:
    """matches: the nearest photos to a photo, or to the car in its box, in ascending distance."""

    photo: str
    box: Box | None
    matches: tuple[Match, ...]


def search_each(model: Predictor, gallery: Gallery, photos: Iterable[Photo], count: int) -> Iterator[SearchResult]:
    """Yield the `count` nearest gallery photos of each photo; KcarsError for an unreadable photo."""
    gallery.refuse_other_model(model.card)
    for photo, vector in model.embed_each(photos):
        if isinstance(vector, KcarsError):
            raise vector
        yield nearest(gallery, model.card["decision"], photo, vector, count)


def nearest(gallery: Gallery, decision: dict, photo: Photo, vector: np.ndarray, count: int) -> SearchResult:
    """Return the `count` nearest gallery photos of a photo's vector (d,); decision: from the model's card."""
    ((rows, distances),) = gallery.vector_index.search(vector[None], count)
    kept = [gallery.photos[row] for row in rows.tolist()]
    likely = PairDecision.of(decision).probability(distances)
    matches = [
        Match(one, one.name(gallery.target), float(distance), float(probability))
        for one, distance, probability in zip(kept, distances, likely, strict=True)
    ]
    return SearchResult(photo.name, photo.box, tuple(matches))


def lines(found: SearchResult) -> Iterator[str]:
    """Yield the photo, then one line per match."""
    yield _line(found.photo) + _boxed(found.box)
    for place, match in enumerate(found.matches, 1):
        named = f"  {match.name}" if match.name else ""
        where = _line(shown_path(match.kept)) + _boxed(match.kept.box)
        yield f"  {place:>3}  distance {match.distance:.3f}  same {percent(match.probability, 1):>6}{named}  {where}"


def json_line(found: SearchResult) -> str:
    """Return the result as a JSON object; unknown names are null."""
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
    """Return the path as valid UTF-8 text."""
    return shown(kept.path)


def _line(text: str) -> str:
    return text.replace("\n", "\\n")


def _boxed(box: Box | None) -> str:
    return "" if box is None else f" [{', '.join(f'{edge:g}' for edge in box)}]"
