"""Search among a million photos: an index is built, written, opened and searched as `kcars index` does it.

    python tools/bench_search.py                    # a million vectors of 50 and of 256 numbers: some minutes on two cores
    python tools/bench_search.py --count 200000

Vectors lie around 10,000 centres, as embeddings of a model's photos do; the photos searched for are drawn like them and are
not among them. Each width has a process of its own, whose peak memory is read off. Ends with exit code 1 where
memory or recall miss their bounds.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import contest

CENTRES, QUERIES, SINGLE, EXACT, K, CHUNK = 10_000, 1000, 200, 20, 10, 65_536
MOST_GIB, LEAST_RECALL = 6.0, 0.95
HEAD = [
    "numbers", "vectors", "build s", "write s", "open s", "GiB on disk", "peak GiB", "lists", "recall@10 stored",
    "recall@10", "photos/s one by one", "photos/s together", "photos/s exact, one by one",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--widths", default="50,256")
    parser.add_argument("--noise", type=float, default=0.5, help="deviation around a centre, for 1 between centres")
    options = parser.parse_args()
    rows, missed = [], []
    for width in options.widths.split(","):
        command = [sys.executable, __file__, "--child", width, str(options.count), str(options.noise)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"{width} numbers: ended with {done.returncode}")
        found = json.loads(done.stdout.splitlines()[-1])
        rows.append([width, f"{options.count:,}", *found["cells"]])
        missed += [f"{width} numbers: {text}" for text in found["missed"]]
    print(contest.markdown("Search", HEAD, rows))
    if missed:
        sys.exit("; ".join(missed))


def drawn(count: int, width: int, noise: float, seed: int) -> np.ndarray:
    """Vectors (count, width) float32 around the same centres for every seed."""
    centres = np.random.default_rng(0).standard_normal((CENTRES, width), np.float32)
    random, found = np.random.default_rng(seed), np.empty((count, width), np.float32)
    for start in range(0, count, CHUNK):
        part = found[start : start + CHUNK]
        random.standard_normal(dtype=np.float32, out=part)
        part *= noise
        part += centres[random.integers(0, CENTRES, len(part))]
    return found


def child(width: str, count: str, noise: str) -> None:
    from kcars.gallery.store import Gallery

    queries = drawn(QUERIES, int(width), float(noise), seed=2)
    with tempfile.TemporaryDirectory() as place:
        seconds, truth = written(Path(place), int(count), int(width), float(noise), queries)
        disk = sum(file.stat().st_size for file in Path(place).iterdir()) / 2**30
        gallery, opened = timed(lambda: Gallery.open(Path(place)))
    found, together = timed(lambda: gallery.vector_index.search(queries, K))
    _, alone = timed(lambda: [gallery.vector_index.search(query[None], K) for query in queries[:SINGLE]])
    recall = np.mean([len(np.intersect1d(rows, right)) / K for (rows, _), right in zip(found, truth, strict=True)])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    facts = gallery.vector_index.facts
    cells = [
        *(f"{one:.1f}" for one in (seconds["build"], seconds["write"], opened)), f"{disk:.2f}", f"{peak:.2f}",
        f"{facts['probes']} of {facts['lists']}" if "lists" in facts else "all", f"{facts['recall@10']:.3f}",
        f"{recall:.3f}", *(f"{rate:.0f}" for rate in (SINGLE / alone, QUERIES / together, EXACT / seconds["exact"])),
    ]  # fmt: skip
    missed = [f"recall@10 {recall:.3f} is below {LEAST_RECALL}"] if recall < LEAST_RECALL else []
    missed += [f"peak memory of {peak:.2f} GiB is above {MOST_GIB}"] if peak > MOST_GIB else []
    print(json.dumps({"cells": cells, "missed": missed}))


def written(place: Path, count: int, width: int, noise: float, queries: np.ndarray) -> tuple[dict, np.ndarray]:
    """Seconds to build an index, to write it, and to search exactly; and what exact search finds, rows (q, K)."""
    from kcars.gallery.photos import Kept
    from kcars.gallery.store import write
    from kcars.gallery.vector_index import VectorIndex, faiss_module

    photos = [Kept(f"/photos/{row:07}.jpg", f"{row:032x}", "make", f"model {row % 5000}") for row in range(count)]
    vectors, search = drawn(count, width, noise, seed=1), faiss_module().knn
    nearest, build = timed(lambda: VectorIndex.build(vectors))
    _, wrote = timed(lambda: write(place, CARD, photos, nearest))
    _, exact = timed(lambda: [search(queries[row : row + 1], vectors, K) for row in range(EXACT)])
    return {"build": build, "write": wrote, "exact": exact}, search(queries, vectors, K)[1]


def timed(work) -> tuple:
    begun = time.perf_counter()
    found = work()
    return found, time.perf_counter() - begun


CARD = {
    "task": "verify",
    "target": "model",
    "place": "drawn",
    "strategy": "drawn",
    "model_fingerprint": "0",
    "input": {"crop": "box", "padding": 0.0},
    "decision": {"threshold": -1.0, "scale": 1.0, "offset": 1.0},
}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
