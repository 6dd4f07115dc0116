"""The names in a gallery, and distances of photos from them."""

from collections.abc import Iterator, Sequence

import numpy as np

from kcars.gallery.vector_index import VectorIndex

CHUNK = 65_536
BLOCK_DISTANCES = 2**25  # In memory at a time: 256 MB.


class Names:
    """Names, each with the vectors of its photos.

    A photo's distance from a name is the mean of two, both equal to the distance of the pair for a single photo and of its
    scale for any number, so that the model's threshold and probabilities apply:

    - that of a pair whose odds of being the same are the mean odds over the name's photos, with the sigmoid of the model's
      pairs: -log(mean(exp(-scale * distance))) / scale, between the smallest and the mean distance;
    - from the mean of the name's n vectors, whose square lacks 1 - 1/n of the variance of photos of one name, which is added
      (pooled over all names).

    The second is better for a good verifier, the first for a weak one (docs/results/naming.md).

    names (m,): sorted; photos (m,): number of photos per name; variance: of the photos of one name, pooled over all names,
    0 if none has two.
    """

    def __init__(self, named: Sequence[str], vectors: np.ndarray, scale: float, variance: float | None = None):
        """named, vectors (n, d): name and vector of each photo; scale: of the sigmoid of the model's pairs; variance: by default of these."""
        self.names, number, self.photos = np.unique(np.array(named, object), return_inverse=True, return_counts=True)
        order = np.argsort(number, kind="stable")
        ordered = (order[1:] > order[:-1]).all()
        self._vectors = vectors if ordered else vectors[order]  # A copy of a million vectors takes a gigabyte.
        self._number, self._scale = number[order], scale
        self._starts = np.cumsum(self.photos) - self.photos
        self._means, found = self._moments()
        self.variance = found if variance is None else variance

    def _moments(self) -> tuple[np.ndarray, float]:
        """Return the mean vector of each name (m, d) and `variance`."""
        sums, squares = np.zeros((len(self.names), self._vectors.shape[1])), 0.0
        for start in range(0, len(self._vectors), CHUNK):
            part = self._vectors[start : start + CHUNK].astype(np.float64)
            np.add.at(sums, self._number[start : start + CHUNK], part)
            squares += float(np.square(part).sum())
        means, others = sums / self.photos[:, None], int(self.photos.sum()) - len(self.photos)
        within = squares - float((self.photos * np.square(means).sum(1)).sum())
        return means, max(within, 0.0) / others if others else 0.0

    @classmethod
    def of(cls, named: Sequence[str], vector_index: VectorIndex, scale: float | None) -> "Names | None":
        """Build from the names of a gallery's photos ("" for none); None if no photo has a name, or the model has no pair probabilities."""
        rows = sorted((row for row, name in enumerate(named) if name), key=named.__getitem__)
        if not rows or scale is None or not 0 < scale < np.inf:
            return None
        return cls([named[row] for row in rows], vector_index.vectors(np.array(rows, np.int64)), scale)

    def distances(self, vectors: np.ndarray) -> np.ndarray:
        """Return the distances (q, m) float64 of photos' vectors (q, d) from each name."""
        odds = mean_odds_distances(_pair_distances(vectors, self._vectors), self._starts, self._scale)
        return (odds + self._corrected(_pair_distances(vectors, self._means) ** 2, self.photos)) / 2

    def _corrected(self, squared: np.ndarray, photos: np.ndarray) -> np.ndarray:
        """Return distances from mean vectors on the scale of a pair's, from the squared ones, for means of so many photos."""
        return np.sqrt(squared + self.variance * (1 - 1 / photos))

    def rows_of(self, number: int) -> np.ndarray:
        """Return the rows of a name's photos, in the order of `left_out`."""
        return self._starts[number] + np.arange(self.photos[number])

    def left_out(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield, in blocks, the distances from the nearest name of gallery photos, rows (q,), whose names have other photos.

        Each (q,), first with the photo left out, then with its whole name left out; `variance` stays that of all photos.
        """
        block = max(1, BLOCK_DISTANCES // len(self._vectors))
        for start in range(0, len(rows), block):
            part = rows[start : start + block]
            each, own = np.arange(len(part)), self._number[part]
            photos = self.photos[own]
            distances = _pair_distances(self._vectors[part], self._vectors)
            distances[each, part] = np.inf  # Odds of 0 add only to the count of the mean, which is corrected below.
            odds = mean_odds_distances(distances, self._starts, self._scale)
            odds[each, own] += np.log((photos - 1) / photos) / self._scale
            squared = _pair_distances(self._vectors[part], self._means) ** 2
            means = self._corrected(squared, self.photos)
            # The mean without the photo is so much farther.
            without = squared[each, own] * (photos / (photos - 1)) ** 2
            means[each, own] = self._corrected(without, photos - 1)
            found = (odds + means) / 2
            others = found.copy()
            others[each, own] = np.inf
            yield found.min(1), others.min(1)


def _pair_distances(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the distances (q, n) float64 of vectors (q, d) from others (n, d), in constant memory."""
    vectors, found = vectors.astype(np.float64), np.empty((len(vectors), len(others)))
    for start in range(0, len(others), CHUNK):
        part = others[start : start + CHUNK].astype(np.float64)
        squared = (vectors**2).sum(1)[:, None] + (part**2).sum(1) - 2 * (vectors @ part.T)
        found[:, start : start + CHUNK] = np.sqrt(np.maximum(squared, 0.0))
    return found


def mean_odds_distances(distances: np.ndarray, starts: np.ndarray, scale: float) -> np.ndarray:
    """Reduce distances (..., n) from photos, grouped by name from `starts` (m,), to distances from names (..., m)."""
    photos = np.diff(starts, append=distances.shape[-1])
    odds = np.logaddexp.reduceat(-scale * distances, starts, axis=-1)
    return (np.log(photos) - odds) / scale
