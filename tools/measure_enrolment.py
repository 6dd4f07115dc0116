"""How well models that training never saw are named once a few photos of each are enrolled.

    python tools/measure_enrolment.py RUN [--data DATA] [--photos 1,5,10] [--draws 10]

Of each test model of a verification run so many random photos are enrolled, all its others are named among the test
models as `kcars predict --index` does it (without "unknown"), and that is done again with other photos. Told is the share
that is named rightly, with a 95 % interval that resamples models; beside it trivial rivals, whose distances
get a sigmoid from the same validation pairs, and what guessing would give. Then, with three quarters of the models enrolled: how many
photos of those are accepted, and how many of the others refused as unknown, by the model's threshold for pairs and by that which an index chooses
(`kcars/gallery/open_set.py`); and the ROC-AUC by which the distance from the nearest name separates the two.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from contest import line

from kcars.core.errors import KcarsError
from kcars.core.rng import generator
from kcars.gallery import open_set
from kcars.gallery.names import Names
from kcars.metrics.bootstrap import query_intervals
from kcars.metrics.scores import roc_auc
from kcars.posthoc.decision import PairDecision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, help="new location of the run's dataset, if it moved")
    parser.add_argument("--photos", default="1,5,10", help="how many photos a model are enrolled")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        counts = [int(count) for count in options.photos.split(",")]
        vectors, labels, threshold = test_vectors(options.run, options.data)
        rows = table(vectors, labels, counts, options.draws, options.seed)
        unknown = unknown_table(*vectors["embedding"], labels, counts, options.draws, options.seed, threshold)
    except (KcarsError, ValueError) as error:
        sys.exit(f"{Path(__file__).name}: {error}")
    models = len(np.unique(labels))
    print(f"{models} unseen models, {len(labels)} photos, {options.draws} draws; named rightly [95 %]\n")
    print("\n".join(map(line, rows)))
    print(f"\n{models * 3 // 4} of them enrolled: share of their photos accepted / of photos of the others refused\n")
    print("\n".join(map(line, unknown)))


def test_vectors(folder: Path, data: Path | None) -> tuple[dict, np.ndarray, float]:
    """By name the vectors (n, d) of the run's test photos and the scale of their sigmoid; the models (n,) they show; the threshold on distances."""
    from kcars.data.source import load
    from kcars.images.pixel_store import open_store
    from kcars.models.outputs import network_outputs
    from kcars.runs.checkpoint import answering_network
    from kcars.runs.fitted import pipeline_of
    from kcars.runs.keras_setup import start
    from kcars.runs.run import Run
    from kcars.tasks import verify

    run = Run.open(folder)
    strategy = run.strategy()
    if strategy.task != "verify":
        raise KcarsError(f"run {folder}: names; a verification run is needed")
    dataset = load(data or Path(run.facts()["data"]["source"]), "verify", strategy.data)
    run.refuse_other_data(dataset)
    start(strategy.train, "float32")
    store = open_store(dataset.table, strategy.data, True)
    plan = verify.plan(dataset.without(store.bad), strategy)
    rows, asked = plan.dataset.test_rows(), strategy.evaluate
    outputs = network_outputs(answering_network(run), store, asked.batch, asked.mirror, "embedding", asked.shift)
    pipeline = pipeline_of(run)
    found = {"embedding": (pipeline(outputs(rows)), pipeline.pairs.scale)}
    for name, rival in verify.baselines(plan, store).items():
        found[name] = np.array(rival(rows)), verify.calibrate(plan, rival)["scale"]
    return found, dataset.table.ids["model"][rows], pipeline.pairs.threshold


def table(vectors: dict, labels: np.ndarray, counts: list[int], draws: int, seed: int) -> list[list[str]]:
    """Rows of texts: a head, a line of rules, then each name's shares by how many photos were enrolled."""
    rows = [["", *(f"{count} enrolled" for count in counts)], ["---"] * (len(counts) + 1)]
    for name, (found, scale) in vectors.items():
        cells = []
        for count in counts:
            share = named_rightly(found, labels, count, draws, seed, scale)
            low, high = query_intervals(share, labels)
            cells.append(f"{np.nanmean(share):.3f} [{low:.3f}, {high:.3f}]")
        rows.append([name, *cells])
    guesses = [f"{1 / sum(np.bincount(labels) > count):.3f}" for count in counts]
    return [*rows, ["guessing", *guesses]]


def named_rightly(
    vectors: np.ndarray, labels: np.ndarray, count: int, draws: int, seed: int, scale: float
) -> np.ndarray:
    """Of each photo (n,) the share of the draws, of those in which it was not enrolled, that named it rightly.

    vectors (n, d). Models of `count` photos or fewer are left out: their photos are nan, as are those that always were
    enrolled.
    """
    models = [rows for label in np.unique(labels) if len(rows := np.flatnonzero(labels == label)) > count]
    if len(models) < 2:
        raise KcarsError(f"--photos {count}: fewer than two test models have more photos than that")
    right, asked = np.zeros(len(labels)), np.zeros(len(labels))
    for draw in range(draws):
        random = generator(seed, "enrolment", draw)
        parts = [random.permutation(rows) for rows in models]
        enrolled = np.concatenate([rows[:count] for rows in parts])
        names = Names([f"{label:09}" for label in labels[enrolled]], vectors[enrolled], scale)
        for number, rows in enumerate(part[count:] for part in parts):
            right[rows] += names.distances(vectors[rows]).argmin(1) == number
            asked[rows] += 1
    return np.divide(right, asked, out=np.full(len(labels), np.nan), where=asked > 0)


def unknown_table(
    vectors: np.ndarray, scale: float, labels: np.ndarray, counts: list[int], draws: int, seed: int, threshold: float
) -> list[list[str]]:
    """Rows of texts: a head, a line of rules, then for each kind of threshold the shares by how many photos were enrolled."""
    by_count = [open_set_shares(vectors, scale, labels, count, draws, seed, threshold) for count in counts]
    rows = [["threshold", *(f"{count} enrolled" for count in counts)], ["---"] * (len(counts) + 1)]
    for name in ("for pairs", "of the index"):
        cells = [found.get(name) for found in by_count]
        rows.append([name, *("none" if cell is None else f"{cell[0]:.2f} / {cell[1]:.2f}" for cell in cells)])
    return [*rows, ["ROC-AUC", *(f"{found['any'][0]:.3f}" for found in by_count)]]


def open_set_shares(
    vectors: np.ndarray, scale: float, labels: np.ndarray, count: int, draws: int, seed: int, threshold: float
) -> dict[str, np.ndarray]:
    """By threshold the shares accepted and refused (2,), means over draws; one that is not chosen in every draw is left out.

    "any": the ROC-AUC (1,) of all thresholds.
    """
    models, found = np.unique(labels), {"for pairs": [], "of the index": [], "any": []}
    for draw in range(draws):
        random = generator(seed, "open set", draw)
        known = random.permutation(models)[: len(models) * 3 // 4]
        parts = [random.permutation(np.flatnonzero(labels == model)) for model in known]
        enrolled = np.concatenate([part[:count] for part in parts])
        names = Names([str(label) for label in labels[enrolled]], vectors[enrolled], scale)
        own, others = np.concatenate([part[count:] for part in parts]), np.flatnonzero(~np.isin(labels, known))
        near = [names.distances(vectors[rows]).min(1) for rows in (own, others)]
        found["any"].append([roc_auc(np.repeat([1, 0], [len(own), len(others)]), -np.concatenate(near))])
        chosen = open_set.chosen(names)
        for name, limit in (("for pairs", threshold), ("of the index", chosen and PairDecision.of(chosen).threshold)):
            if limit is not None:
                found[name].append([(near[0] <= limit).mean(), (near[1] > limit).mean()])
    return {name: np.mean(shares, axis=0) for name, shares in found.items() if len(shares) == draws}


if __name__ == "__main__":
    main()
