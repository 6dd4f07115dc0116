"""Evaluation: scores a run on its test split by its protocol, together with trivial baselines."""

from collections.abc import Callable
from functools import partial

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.plain_text import warn
from kcars.data.photo_table import Dataset, PhotoTable, PixelStore
from kcars.evaluation.examples import shown_photos
from kcars.evaluation.heat_maps import MAPS, write_maps
from kcars.images.thumbnail import jpeg, thumbnail_name
from kcars.models.features import Features
from kcars.models.grad_cam import GradCam, why_no_maps
from kcars.models.outputs import Outputs, network_outputs
from kcars.posthoc.pipeline import Pipeline
from kcars.runs import score_files
from kcars.runs.checkpoint import load_best
from kcars.runs.contents import THUMBNAIL, refuse_odd
from kcars.runs.keras_setup import start
from kcars.runs.run import Run
from kcars.settings import Strategy
from kcars.tasks import task_module
from kcars.tasks.plan import Plan, Result, Task, history_column

THUMBNAIL_PX = 112


def evaluate(run: Run, dataset: Dataset, progress: bool = True) -> dict:
    """Score the checkpoint on the test split; write scores.json and the per-photo or per-pair table.

    Epoch, threshold and temperature are chosen on validation data, which for protocol `paper` is the test split. Raises
    KcarsError if the dataset is not the one that the run was trained on.
    """
    run.refuse_other_data(dataset)
    with Run.locked(run.folder):
        refuse_odd(run.folder)
        return _evaluate(run, dataset, progress)


def _evaluate(run: Run, dataset: Dataset, progress: bool) -> dict:
    strategy, facts = run.strategy(), run.facts()
    task = task_module(strategy.task)
    start(strategy.train, "float32")  # Scoring uses float32 for any training precision.
    from kcars.images.pixel_store import open_store

    store = open_store(dataset.table, strategy.data, progress)
    plan = task.plan(dataset.without(store.bad), strategy)
    network = task.network(plan)
    load_best(network.scored, run.best_weights)
    bar = "scoring" if progress else ""
    seen_by = (
        Features(network.scored, strategy, store, bar).outputs
        if strategy.frozen
        else partial(_outputs_of, strategy, store, bar)
    )
    chosen = facts.get("chosen")  # The choice of the folds, if there are folds.
    pipeline = task.posthoc(plan, network, seen_by, chosen)
    _warn_of_what_is_not_used(strategy, pipeline)
    answering = pipeline.network(network.scored, strategy.target)
    raw = seen_by(answering)

    def outputs(rows: np.ndarray) -> np.ndarray:
        return pipeline(raw(rows))

    result = task.scores(plan, outputs, "test", pipeline.decision, strategy.evaluate.resamples)
    found = {
        **_what(run, task, pipeline),
        "decision": pipeline.decision,
        "validation": {} if chosen else task.scores(plan, outputs, "validation", {}).scores,
        "counts": facts["data"],
        "cost": _cost(run, strategy, network),
        "scores": entries(result),
        "baselines": {name: _baseline(task, plan, outputs) for name, outputs in task.baselines(plan, store).items()},
    }
    result.tables["tested_photos.csv"] = _tested(plan.dataset)
    # Takes long; earlier scores stay valid meanwhile.
    keep_maps(run, result, plan, store, outputs, lambda: GradCam(answering, strategy.evaluate.mirror, pipeline))
    write_tables(run, "", result, plan.dataset.table, store)
    found["tables"] = {name: run.files.sha256(name) for name in (*result.tables, MAPS) if run.files.has(name)}
    _replace_scores(run, found, pipeline.parts())
    return found


def _replace_scores(run: Run, found: dict, contents: dict[str, bytes]) -> None:
    """Write scores.json and the pipeline's files; if killed, the earlier scoring stays intact."""
    try:
        before = run.scores() if run.files.has("scores.json") else None
    except KcarsError:  # Damaged, and replaced now.
        before = None
    score_files.replace(run.files, found, contents, before)


def _warn_of_what_is_not_used(strategy: Strategy, pipeline: Pipeline) -> None:
    asked = strategy.evaluate.distance
    if asked != "euclidean" and pipeline.transform is None:
        warn(
            f"evaluate.distance={asked}: is not used, because folds chose the threshold on untransformed "
            "distances; evaluate.folds=0 in a new run holds out models instead, and uses it"
        )


def _outputs_of(strategy: Strategy, store: PixelStore, bar: str, model) -> Outputs:
    """Return a function from rows to the model's outputs, with the strategy's preprocessing for scoring."""
    asked = strategy.evaluate
    return network_outputs(model, store, asked.batch, asked.mirror, bar, asked.shift)


def _what(run: Run, task: Task, pipeline: Pipeline) -> dict:
    """Return the description of what was scored, and with which options."""
    strategy, facts, chosen = run.strategy(), run.facts(), run.facts().get("chosen")
    return {
        "protocol": strategy.evaluate.protocol,
        "strategy": facts["strategy"],
        "finished": facts["finished"],
        "task": strategy.task,
        "target": strategy.target,
        "learned": strategy.learned,
        **task.scored_by(strategy, pipeline),
        "views": {"mirror": strategy.evaluate.mirror, "shift": strategy.evaluate.shift},
        "data_fingerprint": facts["data"]["fingerprint"],
        "best_epoch": chosen["epoch"] if chosen else int(run.kept(history_column(task.monitor(strategy)))["epoch"]),
        "kept": strategy.train.keep,
        "folds": chosen["folds"] if chosen else 0,
    }


def keep_maps(run: Run, result: Result, plan: Plan, store, outputs, grad_cam: Callable[[], GradCam]) -> None:
    """Write the heat maps of the scored network; if there can be none, warn, and delete those of an earlier scoring."""
    if reason := why_no_maps():
        warn(f"{reason}: the report will have none")
        run.files.remove(MAPS)
        return
    write_maps(run, result.tables, plan.dataset.table, store, outputs, grad_cam())


def _tested(dataset: Dataset) -> dict[str, np.ndarray]:
    """Return the names of make and model of every test photo."""
    table, rows = dataset.table, dataset.test_rows()
    named = {
        target: np.array([table.name(target, id_) for id_ in table.ids[target][rows]], object)
        for target in ("make", "model")
    }
    return {"path": table.paths[rows], **named}


def write_tables(run: Run, folder: str, result: Result, table: PhotoTable, store: PixelStore) -> None:
    """Write the result's tables into the run folder, and thumbnails of the photos that a report shows."""
    for name, columns in result.tables.items():
        run.write_table(folder + name, columns)
    row = {path: number for number, path in enumerate(table.paths)}
    place = f"{folder}thumbnails"
    run.files.folder(place)
    wanted = {f"{place}/{thumbnail_name(path)}": path for path in shown_photos(result.tables)}
    for name, path in wanted.items():
        run.files.write_bytes(name, jpeg(store.read(np.array([row[path]]))[0], THUMBNAIL_PX))
    for old in run.files.files(place, THUMBNAIL):  # From an earlier scoring; other files are not touched.
        if old not in wanted:
            run.files.remove(old)


def _cost(run: Run, strategy: Strategy, network) -> dict:
    """Return the costs: size of network and photos, multiply-adds per photo, time per epoch on this machine."""
    from kcars.models.flops import multiply_adds

    history = run.costs()
    return {
        "size_px": strategy.data.size_px,
        "parameters": network.scored.count_params(),
        "multiply_adds": multiply_adds(network.scored),
        "photos_per_epoch": int(history[0]["photos"]),
        "seconds_per_epoch": float(np.median([row["train_seconds"] for row in history])),
        "epochs": len(history),
    }


def entries(result: Result) -> dict[str, dict]:
    """Return each score with its 95 % interval, if any."""
    bounds = {key: result.intervals.get(key) or (None, None) for key in result.scores}
    return {
        key: {"value": value, "low": bounds[key][0], "high": bounds[key][1]} for key, value in result.scores.items()
    }


def _baseline(task: Task, plan: Plan, outputs: Outputs) -> dict[str, float]:
    decision = task.decide(plan, outputs)
    return task.scores(plan, outputs, "test", decision).scores
