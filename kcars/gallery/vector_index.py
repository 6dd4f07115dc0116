"""Nearest-neighbour search with FAISS: exact, or for many vectors an inverted file with measured recall."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.files import written_whole
from kcars.core.limits import limits
from kcars.core.rng import generator
from kcars.gallery import faiss_file
from kcars.untrusted.reading import MIB, opened

EXACT, LISTS = "exact", "ivf_flat"
EXACT_UP_TO = 100_000  # Vectors of 256 dimensions, which one core searches in about 10 ms.
RECALL_WANTED, RECALL_K, RECALL_QUERIES = 0.98, 10, 500
CHUNK = 65_536  # Vectors per block.
LARGEST = 1e15  # Largest absolute value; squared differences in FAISS are finite up to it.
PHOTOS_A_LIST = 40  # Training vectors per k-means centre; FAISS warns below 39.


def faiss_module():
    """Import and return FAISS; KcarsError if it is not installed."""
    if importlib.util.find_spec("faiss") is None:
        raise KcarsError("search needs FAISS, which is not installed; run: pip install 'kcars[search]'")
    import faiss

    return faiss


@dataclass
class VectorIndex:
    """A FAISS index of vectors (n, d) float32 by Euclidean distance, in the given order of rows.

    facts: `kind`, `exact` or `ivf_flat` (vectors in lists by their nearest centre, of which a search visits `probes`; Jegou
    et al. 2011); `forced`, whether it stays exact; and the recall of the ten nearest, measured on stored vectors against
    exact search.
    """

    index: Any  # FAISS defines its classes at import.
    facts: dict

    @classmethod
    def build(cls, vectors: np.ndarray, exact: bool = False) -> "VectorIndex":
        """Build an index, exact if requested or up to EXACT_UP_TO vectors; k-means is seeded, so equal vectors give equal lists."""
        faiss = faiss_module()
        vectors = _rows(vectors)
        count, width = vectors.shape
        if exact or count <= EXACT_UP_TO:
            index = faiss.IndexFlatL2(width)
            index.add(vectors)
            return cls(index, {"kind": EXACT, "forced": exact, "recall@10": 1.0})
        lists = round(4 * count**0.5)  # As recommended by FAISS for fewer than a million vectors.
        centres = faiss.IndexFlatL2(width)
        index = faiss.IndexIVFFlat(centres, width, lists, faiss.METRIC_L2)
        learned = generator(0, "search lists", 0).choice(count, min(count, PHOTOS_A_LIST * lists), replace=False)
        index.train(vectors[np.sort(learned)])
        index.add(vectors)
        index.make_direct_map()
        found = cls(index, {"kind": LISTS, "forced": False, "lists": lists, "learned_from": count})
        found._choose_probes()
        return found

    def with_more(self, vectors: np.ndarray) -> "VectorIndex":
        """Return the index with vectors (m, d) appended; centres are trained again once their number has doubled."""
        count = len(self) + len(vectors)
        outgrown = count > 2 * self.facts["learned_from"] if self.facts["kind"] == LISTS else count > EXACT_UP_TO
        if outgrown and not self.facts["forced"]:
            return VectorIndex.build(np.concatenate([self.vectors(), _rows(vectors)]))
        if len(vectors):
            self.index.add(_rows(vectors))
            if self.facts["kind"] == LISTS:
                self._choose_probes()
        return self

    def only(self, rows: np.ndarray) -> "VectorIndex":
        """Return a new index of some rows."""
        return VectorIndex.build(self.vectors(rows), self.facts["forced"])

    def __len__(self) -> int:
        return self.index.ntotal

    @property
    def width(self) -> int:
        """Dimension of a vector."""
        return self.index.d

    def vectors(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Return the vectors (n, d) float32 of some rows, or of all."""
        if rows is None:
            return self.index.reconstruct_n(0, len(self))
        return self.index.reconstruct_batch(np.asarray(rows, np.int64))

    def search(self, queries: np.ndarray, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return for each query (d,) the rows of the k nearest vectors (or of all, if fewer) and their distances, in ascending order.

        Distances are computed again, because FAISS' lose digits for close vectors.
        """
        queries = _rows(queries)
        if not len(self) or not len(queries):
            return [(np.zeros(0, np.int64), np.zeros(0))] * len(queries)
        found = []
        for query, rows in zip(queries, self.index.search(queries, min(k, len(self)))[1], strict=True):
            rows = rows[rows >= 0]
            distance = np.linalg.norm(self.vectors(rows).astype(np.float64) - query, axis=1)
            order = np.lexsort((rows, distance))
            found.append((rows[order], distance[order]))
        return found

    def _choose_probes(self) -> None:
        """Choose the smallest number of probes, by doubling, whose recall of the ten nearest reaches RECALL_WANTED."""
        sample = min(RECALL_QUERIES, len(self))
        asked = np.sort(generator(0, "search recall", 0).choice(len(self), sample, replace=False))
        queries, lists = self.vectors(asked), self.facts["lists"]
        farthest = self._distances(queries, asked, lists)[:, -1:]
        probes = 1
        while (recall := float((self._distances(queries, asked, probes) <= farthest).mean())) < RECALL_WANTED:
            probes = min(2 * probes, lists)
        self.index.nprobe = probes
        self.facts |= {"probes": probes, "recall@10": recall, "recall_queries": sample}

    def _distances(self, queries: np.ndarray, own: np.ndarray, probes: int) -> np.ndarray:
        """Return squared distances (q, 10) of the nearest found in `probes` lists, without the queries' own rows."""
        self.index.nprobe = probes
        distances, rows = self.index.search(queries, RECALL_K + 1)
        distances[rows == own[:, None]] = np.inf
        return np.sort(distances, axis=1)[:, :RECALL_K]

    def write(self, file: Path) -> None:
        """Write the file atomically, including `probes`."""
        faiss = faiss_module()
        with written_whole(file, "wb") as out:
            faiss.write_index(self.index, faiss.PyCallbackIOWriter(out.write))  # pyright: ignore[reportAttributeAccessIssue]  Missing in its stubs.

    @classmethod
    def read(cls, file: Path, facts: dict, count: int, width: int, sha256: str | None = None) -> "VectorIndex":
        """Read `count` vectors of `width` numbers from the file of `write`; KcarsError if it is missing, damaged or of another kind.

        sha256: of the file, None if it was not recorded.
        """
        faiss = faiss_module()
        with opened(file, limits().index_mib * MIB, file.parent) as content:
            try:
                if sha256 and hashlib.file_digest(content, "sha256").hexdigest() != sha256:
                    raise ValueError("has changed since it was written (SHA-256)")
                content.seek(0)
                lists = faiss_file.check(content, count, width)
                index = _loaded(faiss, content, lists, facts)
            except (RuntimeError, ValueError, MemoryError) as error:
                reason = str(error) if isinstance(error, ValueError) else "cannot be read by FAISS"
                raise KcarsError(
                    f"{file}: is damaged or not an index of kcars: it {reason}; build the index again"
                ) from None
        return cls(index, dict(facts))


def _loaded(faiss, content: BinaryIO, lists: int, facts: dict):
    """Load the FAISS index from a checked file; ValueError if it differs from facts, or a number is not finite."""
    if facts["kind"] != (LISTS if lists else EXACT) or (lists and not (facts["probes"] <= facts["lists"] == lists)):
        raise ValueError(f"has {lists or 'no'} lists, unlike index.json")
    index = faiss.read_index(faiss.PyCallbackIOReader(content.read))
    found = [type(index)]
    if lists:
        found += [type(faiss.downcast_index(index.quantizer)), type(faiss.downcast_InvertedLists(index.invlists))]
    if found != ([faiss.IndexIVFFlat, faiss.IndexFlatL2, faiss.ArrayInvertedLists] if lists else [faiss.IndexFlatL2]):
        raise ValueError(f"is a {', '.join(one.__name__ for one in found)}")
    if lists:
        index.nprobe = facts["probes"]
        index.set_direct_map_type(faiss.DirectMap.NoMap)  # The file's map may point anywhere.
        index.make_direct_map()
    if not (_bounded(index) and (not lists or _bounded(index.quantizer))):
        raise ValueError(f"has a number that is not finite, or beyond {LARGEST:g}")
    return index


def _bounded(index) -> bool:
    parts = range(0, index.ntotal, CHUNK)
    return all(_within(index.reconstruct_n(at, min(CHUNK, index.ntotal - at))) for at in parts)


def _within(vectors: np.ndarray) -> bool:
    return bool((np.abs(vectors) <= LARGEST).all())  # False for NaN.


def _rows(vectors: np.ndarray) -> np.ndarray:
    """Convert vectors for FAISS; KcarsError for numbers that are too large."""
    vectors = np.ascontiguousarray(vectors, np.float32)
    if not _within(vectors):
        raise KcarsError(f"vectors: the model returns numbers beyond {LARGEST:g}, too large for distances; train again")
    return vectors
