"""How well vectors find others of their class: recall@k and mAP@R, in plain numpy, exact, in flat memory."""

import numpy as np

from kcars.core.errors import KcarsError
from kcars.metrics.catalogue import SCORES, computed
from kcars.metrics.scored import finite

CHUNK_DISTANCES = 4_000_000  # Distances held at a time; with their order 100 MB.
CHUNK_GALLERY = 2048


def query_scores(vectors: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Each score of searches (`Score.search`) for each photo (n,), which asks for the others of its label among all others.

    vectors (n, d), labels (n,). The nearest are those of the smallest Euclidean distance. nan for a photo without
    others of its label. Of equal distances the lower row is nearer.
    """
    labels = np.asarray(labels)
    if np.ndim(vectors) != 2 or labels.shape != (len(vectors),):
        raise KcarsError(
            f"vectors: shape {np.shape(vectors)}, labels: {labels.shape}; give one row and one label a photo."
        )
    count = len(labels)
    _, labels, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    others = sizes[labels] - 1
    scores = computed("search")
    found = {key: np.full(count, np.nan) for key in scores}
    least = max(SCORES[key].depth for key in scores)
    queries = np.argsort(others, kind="stable")  # So that one large class does not make all look far.
    queries = queries[others[queries] > 0]
    step = max(1, CHUNK_DISTANCES // max(1, count))
    for start in range(0, len(queries), step):
        part = queries[start : start + step]
        depth = min(count - 1, max(least, int(others[part].max())))
        hits = labels[_nearest(vectors, part, depth)] == labels[part, None]
        for key, value in scores.items():
            found[key][part] = value(hits, others[part])
    return found


def retrieval_scores(vectors: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The mean of `query_scores` over the photos that have others of their label; nan without any."""
    return {key: mean_score(values) for key, values in query_scores(vectors, labels).items()}


def mean_score(values: np.ndarray) -> float:
    """Mean of the defined values (n,); nan without any."""
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _nearest(vectors: np.ndarray, queries: np.ndarray, depth: int) -> np.ndarray:
    """Rows (q, depth) of the nearest vectors to those of rows `queries`, themselves left out.

    Distances that are not negative are ordered as the whole numbers that have their bits: with the row below them one
    sort orders by both.
    """
    distance = _distances(vectors, queries)
    distance[np.arange(len(queries)), queries] = np.inf
    keys = distance.view(np.uint32).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(len(vectors), dtype=np.uint64)
    nearest = np.sort(np.partition(keys, depth - 1, axis=1)[:, :depth], axis=1)
    return (nearest & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _distances(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Squared distances (q, n) float32 of rows `queries` to all, summed in float64."""
    asked = finite("vectors", np.asarray(vectors[queries], np.float64))
    lengths, found = (asked**2).sum(1)[:, None], np.empty((len(queries), len(vectors)), np.float32)
    for start in range(0, len(vectors), CHUNK_GALLERY):
        part = np.asarray(vectors[start : start + CHUNK_GALLERY], np.float64)
        found[:, start : start + len(part)] = lengths + (part**2).sum(1) - 2 * (asked @ part.T)
    return np.abs(np.maximum(found, 0.0, out=found), out=found)  # A zero with a sign would be ordered last.
