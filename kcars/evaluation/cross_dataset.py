"""Cross-dataset evaluation: scores a run on another dataset, with classes matched by name."""

from dataclasses import replace

import numpy as np

from kcars.core.errors import KcarsError
from kcars.data.photo_table import Dataset
from kcars.data.splits import test_pairs
from kcars.evaluation.evaluate import entries, write_tables
from kcars.models.outputs import network_outputs
from kcars.runs import provenance
from kcars.runs.checkpoint import answering_network
from kcars.runs.contents import refuse_odd
from kcars.runs.fitted import pipeline_of
from kcars.runs.keras_setup import start
from kcars.runs.model_card import views_of
from kcars.runs.run import Run
from kcars.tasks import task_module


def evaluate_on(run: Run, dataset: Dataset, progress: bool = True) -> dict:
    """Score the run's checkpoint on another dataset; write the results to the run's subfolder `on-<fingerprint>`.

    Uses the dataset's test split, or the whole dataset if it has none. Epoch and threshold are the run's. Raises KcarsError
    if the run is unscored, was trained on photos to be tested, or shares no class name.
    """
    refuse_odd(run.folder)
    strategy, task, own = run.strategy(), task_module(run.strategy().task), run.scores()
    fingerprint, dataset = dataset.fingerprint(), _whole(dataset)
    known = provenance.read(run)
    _refuse_learned(run, known, dataset)
    task.cross_dataset(dataset, strategy, run.classes(), known.models)  # Fails before photos are decoded.
    start(strategy.train, "float32")
    from kcars.images.pixel_store import open_store

    store = open_store(dataset.table, strategy.data, progress)
    plan, left_out = task.cross_dataset(dataset.without(store.bad), strategy, run.classes(), known.models)
    evaluate, bar = strategy.evaluate, "scoring" if progress else ""
    views = views_of(run)
    pipeline = pipeline_of(run)
    raw = network_outputs(answering_network(run), store, evaluate.batch, views["mirror"], bar, views["shift"])
    result = task.scores(plan, lambda rows: pipeline(raw(rows)), "test", pipeline.decision, evaluate.resamples)
    tested = plan.dataset.test_rows()
    found = {
        **own,
        "on": dataset.source,
        "left_out": left_out,
        "data_fingerprint": fingerprint,
        "counts": {
            "test_photos": len(tested) - left_out.get("photos", 0),
            "test_photos_of_unknown_classes": 0,
            "missing_photos": len(dataset.missing),
            "bad_photos": list(plan.dataset.bad),
        },
        "scores": entries(result),
        "baselines": {},
    }
    folder = f"on-{fingerprint}"
    run.files.folder(folder)
    result.tables.get("classes.csv", {}).pop("training_photos", None)  # These are counts of the run's own dataset.
    write_tables(run, f"{folder}/", result, plan.dataset.table, store)
    run.files.write_json(f"{folder}/scores.json", found)
    return found


def _whole(dataset: Dataset) -> Dataset:
    """Return the dataset with all photos as test photos if it has no test split."""
    if dataset.says_what_to_test:
        return dataset
    rows = np.arange(len(dataset.table))
    if not dataset.pairs:
        return replace(dataset, train=rows[:0], test=rows)
    return replace(dataset, train=rows[:0], pairs=test_pairs(dataset.table, rows, seed=0))


def _refuse_learned(run: Run, known: provenance.Learned, dataset: Dataset) -> None:
    rows = dataset.test_rows()
    seen = known.seen(dataset.table, rows)
    if seen.any():
        raise KcarsError(
            f"--on {dataset.source}: run {run.folder} was trained on {seen.sum()} of the {len(rows)} photos to be "
            f"tested, such as {dataset.table.paths[rows[seen]][0]}; scores would be worthless{known.caution}"
        )
