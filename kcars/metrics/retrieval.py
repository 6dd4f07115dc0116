"""Retrieval scores of embeddings, recall@k and mAP@R: exact, in NumPy, with bounded memory."""

import numpy as np

from kcars.core.errors import KcarsError
from kcars.metrics.catalogue import SCORES, computed
from kcars.metrics.scored import finite

CHUNK_DISTANCES = 4_000_000  # Distances in memory at a time; 100 MB with their order.
CHUNK_GALLERY = 2048


def query_scores(vectors: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Retrieval scores (`Score.search`) of each photo (n,) as a query for the others with its label among all others.

    vectors (n, d), labels (n,). Nearness is Euclidean distance; of equal distances the lower row is nearer. nan for a photo
    without others with its label.
    """
    labels = np.asarray(labels)
    if np.ndim(vectors) != 2 or labels.shape != (len(vectors),):
        raise KcarsError(
            f"vectors: shape {np.shape(vectors)}, labels: {labels.shape}; expected one row and one label per photo."
        )
    count = len(labels)
    _, labels, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    others = sizes[labels] - 1
    scores = computed("search")
    found = {key: np.full(count, np.nan) for key in scores}
    least = max(SCORES[key].depth for key in scores)
    queries = np.argsort(
        others, kind="stable"
    )  # Sorted, so that one large class does not increase the depth of all chunks.
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
    """Means of `query_scores` over the photos that have others with their label; nan without any."""
    return {key: mean_score(values) for key, values in query_scores(vectors, labels).items()}


def mean_score(values: np.ndarray) -> float:
    """Mean of the defined values (n,); nan without any."""
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _nearest(vectors: np.ndarray, queries: np.ndarray, depth: int) -> np.ndarray:
    """Rows (q, depth) of the nearest vectors to those of rows `queries`, without themselves.

    Nonnegative floats have the order of their bits as integers: with the row number in the lower bits, one sort orders by
    distance and row.
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
    return np.abs(np.maximum(found, 0.0, out=found), out=found)  # Negative zero would be ordered last.
