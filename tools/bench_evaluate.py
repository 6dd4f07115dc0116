"""Scoring a verifier: kcars, which embeds each photo once, against a plain Siamese pass over the pairs.

    python tools/bench_evaluate.py --data CompCars

Both read the pixel store and score the pairs of three difficulties with the same embedder in float32. The Siamese pass
runs both photos of every pair through the network, in batches, and takes ROC-AUC and accuracy from the distances; kcars
also gives intervals of 1,000 resamples and the table of pairs. Pairs are thinned to CompCars' proportion: 60,000 of
20,570 photos.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import contest

STRATEGY, BATCH = "scratch/verify", 64
PAIRS_A_PHOTO = 60_000 / 20_570
RIVALS = {"kcars": "each photo once, with intervals", "siamese": "both photos of each pair"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a dataset as `kcars train` takes it; drawn cars without")
    parser.add_argument("--rounds", type=int, default=contest.ROUNDS)
    options = parser.parse_args()
    commands = {name: [sys.executable, __file__, "--rival", name, str(options.data or "")] for name in RIVALS}
    figures = contest.contest(commands, options.rounds)
    rows = [
        [
            RIVALS[name],
            f"{contest.median(seconds):.1f}",
            contest.told(contest.times_as_fast(seconds, figures["siamese"])),
        ]
        for name, seconds in figures.items()
    ]
    print(contest.markdown("Evaluation", ["by", "s", "x the Siamese pass"], rows))


def prepared(folder: str):
    from kcars.data.source import load
    from kcars.runs.keras_setup import start
    from kcars.settings.strategy import load_strategy

    strategy = load_strategy(STRATEGY)
    dataset = load(Path(folder) if folder else None, strategy.task, strategy.data)
    start(strategy.train, "float32")
    from kcars.images.pixel_store import open_store
    from kcars.tasks import task_module

    store = open_store(dataset.table, strategy.data, progress=False)
    task = task_module(strategy.task)
    dataset = replace(dataset, pairs=thinned(dataset.pairs))
    plan = task.plan(dataset, strategy)
    return strategy, store, task, plan, task.network(plan).scored


def thinned(pairs: dict) -> dict:
    """A share of each difficulty's pairs, drawn by seed, so that there are PAIRS_A_PHOTO for each distinct photo."""
    photos = len(np.unique(np.concatenate([given.rows() for given in pairs.values()])))
    total = sum(len(given) for given in pairs.values())
    share, random = min(1.0, PAIRS_A_PHOTO * photos / total), np.random.default_rng(0)
    kept = {}
    for name, given in pairs.items():
        chosen = np.sort(random.choice(len(given), round(share * len(given)), replace=False))
        kept[name] = replace(given, left=given.left[chosen], right=given.right[chosen], same=given.same[chosen])
    return kept


def rival(name: str, folder: str) -> None:
    strategy, store, task, plan, embedder = prepared(folder)
    run = (once if name == "kcars" else siamese_pass)(strategy, store, task, plan, embedder)
    run()  # Traces the graph.
    contest.serve(run)


def once(strategy, store, task, plan, embedder):
    from kcars.models.outputs import network_outputs

    def run() -> None:
        outputs = network_outputs(embedder, store, strategy.evaluate.batch, mirror=False)
        task.scores(plan, outputs, "test", {"threshold": -1.2}, resamples=1000)

    return run


def siamese_pass(strategy, store, task, plan, embedder):
    import tensorflow as tf
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    from kcars.models.networks import siamese

    network = siamese(embedder)

    def run() -> None:
        for name, pairs in plan.pairs.items():
            if not name.startswith("test/"):
                continue
            starts = tf.data.Dataset.range(0, len(pairs), BATCH)

            def read(start, pairs=pairs):
                part = slice(int(start), int(start) + BATCH)
                return store.read(pairs.left[part]), store.read(pairs.right[part])

            def both(start, read=read):
                left, right = tf.numpy_function(read, [start], [tf.uint8, tf.uint8], stateful=False)
                shape = (None, strategy.data.size_px, strategy.data.size_px, 3)
                return {"left": tf.ensure_shape(left, shape), "right": tf.ensure_shape(right, shape)}

            distance = network.predict(starts.map(both, num_parallel_calls=2).prefetch(2), verbose=0)["same"].ravel()
            roc_auc_score(pairs.same, -distance)
            balanced_accuracy_score(pairs.same, distance < 1.2)

    return run


if __name__ == "__main__":
    contest.main_or_rival(main, rival)
