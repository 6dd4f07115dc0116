"""The nearest of many vectors, by FAISS: exact, or for very many an inverted file whose recall was measured."""

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
EXACT_UP_TO = 100_000  # Of 256 numbers each, which one core compares with a photo in about 10 ms.
RECALL_WANTED, RECALL_K, RECALL_QUERIES = 0.98, 10, 500
CHUNK = 65_536  # Vectors that are looked at together.
LARGEST = 1e15  # Of a number; FAISS takes squares of differences, which stay finite up to there.
PHOTOS_A_LIST = 40  # From which k-means learns a list's centre; it warns below 39.


def faiss_module():
    """FAISS; KcarsError where it is not installed."""
    if importlib.util.find_spec("faiss") is None:
        raise KcarsError("searching needs FAISS, which is not installed; run: pip install 'kcars[search]'")
    import faiss

    return faiss


@dataclass
class VectorIndex:
    """A FAISS index of vectors (n, d) float32 by Euclidean distance, row by row in the order in which they came.

    facts: `kind`, `exact` or `ivf_flat` (vectors in lists by their nearest of many centres, of which a search looks into
    `probes`; Jegou et al. 2011); `forced`, whether it is to stay exact; and the share of the ten nearest that it finds, as
    measured on stored vectors against exact search.
    """

    index: Any  # FAISS makes its classes when it is imported.
    facts: dict

    @classmethod
    def build(cls, vectors: np.ndarray, exact: bool = False) -> "VectorIndex":
        """Exact where asked for, or up to EXACT_UP_TO vectors; k-means is seeded, so that equal vectors give equal lists."""
        faiss = faiss_module()
        vectors = _rows(vectors)
        count, width = vectors.shape
        if exact or count <= EXACT_UP_TO:
            index = faiss.IndexFlatL2(width)
            index.add(vectors)
            return cls(index, {"kind": EXACT, "forced": exact, "recall@10": 1.0})
        lists = round(4 * count**0.5)  # As FAISS advises below a million.
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
        """The same with vectors (m, d) after those that it has; centres are learned anew once there are twice as many."""
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
        """Built anew of some rows."""
        return VectorIndex.build(self.vectors(rows), self.facts["forced"])

    def __len__(self) -> int:
        return self.index.ntotal

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return self.index.d

    def vectors(self, rows: np.ndarray | None = None) -> np.ndarray:
        """(n, d) float32 of some rows, or of all."""
        if rows is None:
            return self.index.reconstruct_n(0, len(self))
        return self.index.reconstruct_batch(np.asarray(rows, np.int64))

    def search(self, queries: np.ndarray, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each query (d,) the rows of the k nearest and their distances, nearest first; fewer where there are fewer.

        FAISS' own distances lose digits where vectors are close: those of what it finds are computed again.
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
        """The fewest lists, doubling, to find RECALL_WANTED of the ten nearest that a search of all lists finds."""
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
        """Squared distances (q, 10) of the nearest found in some lists, the queries' own rows left out."""
        self.index.nprobe = probes
        distances, rows = self.index.search(queries, RECALL_K + 1)
        distances[rows == own[:, None]] = np.inf
        return np.sort(distances, axis=1)[:, :RECALL_K]

    def write(self, file: Path) -> None:
        """The whole file or none, with `probes` in it."""
        faiss = faiss_module()
        with written_whole(file, "wb") as out:
            faiss.write_index(self.index, faiss.PyCallbackIOWriter(out.write))  # pyright: ignore[reportAttributeAccessIssue]  Its stubs lack it.

    @classmethod
    def read(cls, file: Path, facts: dict, count: int, width: int, sha256: str | None = None) -> "VectorIndex":
        """What `write` wrote of `count` vectors of `width` numbers; KcarsError where the file is missing, damaged or of another kind.

        sha256: of the file, None where nobody noted it.
        """
        faiss = faiss_module()
        with opened(file, limits().index_mib * MIB, file.parent) as content:
            try:
                if sha256 and hashlib.file_digest(content, "sha256").hexdigest() != sha256:
                    raise ValueError("is another than was written (SHA-256)")
                content.seek(0)
                lists = faiss_file.check(content, count, width)
                index = _loaded(faiss, content, lists, facts)
            except (RuntimeError, ValueError, MemoryError) as error:
                told = str(error) if isinstance(error, ValueError) else "FAISS cannot read it"
                raise KcarsError(f"{file}: is damaged or no index of kcars: it {told}; build the index anew") from None
        return cls(index, dict(facts))


def _loaded(faiss, content: BinaryIO, lists: int, facts: dict):
    """The FAISS index in a file that was looked at; ValueError where it is another than facts tell, or a number is not finite."""
    if facts["kind"] != (LISTS if lists else EXACT) or (lists and not (facts["probes"] <= facts["lists"] == lists)):
        raise ValueError(f"has {lists or 'no'} lists, other than index.json tells")
    index = faiss.read_index(faiss.PyCallbackIOReader(content.read))
    found = [type(index)]
    if lists:
        found += [type(faiss.downcast_index(index.quantizer)), type(faiss.downcast_InvertedLists(index.invlists))]
    if found != ([faiss.IndexIVFFlat, faiss.IndexFlatL2, faiss.ArrayInvertedLists] if lists else [faiss.IndexFlatL2]):
        raise ValueError(f"is a {', '.join(one.__name__ for one in found)}")
    if lists:
        index.nprobe = facts["probes"]
        index.set_direct_map_type(faiss.DirectMap.NoMap)  # That of the file may point anywhere.
        index.make_direct_map()
    if not (_bounded(index) and (not lists or _bounded(index.quantizer))):
        raise ValueError(f"holds a number that is not finite, or beyond {LARGEST:g}")
    return index


def _bounded(index) -> bool:
    parts = range(0, index.ntotal, CHUNK)
    return all(_within(index.reconstruct_n(at, min(CHUNK, index.ntotal - at))) for at in parts)


def _within(vectors: np.ndarray) -> bool:
    return bool((np.abs(vectors) <= LARGEST).all())  # NaN is not.


def _rows(vectors: np.ndarray) -> np.ndarray:
    """As FAISS takes them; KcarsError for numbers whose distances it cannot tell."""
    vectors = np.ascontiguousarray(vectors, np.float32)
    if not _within(vectors):
        raise KcarsError(
            f"vectors: the model gives numbers beyond {LARGEST:g}, whose distances mean nothing; train anew"
        )
    return vectors
