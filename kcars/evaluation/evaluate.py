"""Evaluation: score a run's test split by its protocol, with trivial rivals in the same table."""

from collections.abc import Callable
from functools import partial

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.plain_text import warn
from kcars.data.photo_table import Dataset, PhotoTable, PixelStore
from kcars.evaluation.examples import shown_photos
from kcars.evaluation.heat_maps import MAPS, write_maps
from kcars.images.thumbnail import jpeg, thumbnail_name
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
from kcars.tasks.plan import Plan, Result, history_column

THUMBNAIL_PX = 112


def evaluate(run: Run, dataset: Dataset, progress: bool = True) -> dict:
    """Scores of the epoch that was kept on the test split, written to scores.json and the per-photo or per-pair table.

    Everything that is chosen (epoch, threshold, temperature) comes from validation rows, which protocol `paper` makes the test.
    Raises KcarsError where the dataset is not the one that the run was trained on.
    """
    run.refuse_other_data(dataset)
    with Run.locked(run.folder):
        refuse_odd(run.folder)
        return _evaluate(run, dataset, progress)


def _evaluate(run: Run, dataset: Dataset, progress: bool) -> dict:
    strategy, facts = run.strategy(), run.facts()
    task = task_module(strategy.task)
    start(strategy.train, "float32")  # Scores come from a float32 network, whatever trained it.
    from kcars.images.pixel_store import open_store

    store = open_store(dataset.table, strategy.data, progress)
    plan = task.plan(dataset.without(store.bad), strategy)
    network = task.network(plan)
    load_best(network.scored, run.best_weights)
    seen_by = partial(_outputs_of, strategy, store, "scoring" if progress else "")
    chosen = facts.get("chosen")  # By folds, where no model was spared to choose on.
    pipeline = task.posthoc(plan, network, seen_by, chosen)
    _warn_of_what_is_not_used(strategy, pipeline)
    answering = pipeline.network(network.scored, strategy.target)
    raw = seen_by(answering)
    outputs: Outputs = lambda rows: pipeline(raw(rows))  # noqa: E731
    result = task.scores(plan, outputs, "test", pipeline.decision, strategy.evaluate.resamples)
    found = {
        **_what(run, task, pipeline),
        "decision": pipeline.decision,
        "validation": {} if chosen else task.scores(plan, outputs, "validation", {}).scores,
        "counts": facts["data"],
        "cost": _cost(run, strategy, network),
        "scores": entries(result),
        "baselines": {name: _baseline(task, plan, rival) for name, rival in task.baselines(plan, store).items()},
    }
    result.tables["tested_photos.csv"] = _tested(plan.dataset)
    # Takes long: an earlier scoring stands meanwhile.
    keep_maps(run, result, plan, store, outputs, lambda: GradCam(answering, strategy.evaluate.mirror, pipeline))
    write_tables(run, "", result, plan.dataset.table, store)
    found["tables"] = {name: run.files.sha256(name) for name in (*result.tables, MAPS) if run.files.has(name)}
    _replace_scores(run, found, pipeline.parts())
    return found


def _replace_scores(run: Run, found: dict, contents: dict[str, bytes]) -> None:
    """Write scores.json, and the files of the pipeline: killed on the way, the earlier scoring stands as it was."""
    try:
        before = run.scores() if run.files.has("scores.json") else None
    except KcarsError:  # Damaged, and written anew now.
        before = None
    score_files.replace(run.files, found, contents, before)


def _warn_of_what_is_not_used(strategy: Strategy, pipeline: Pipeline) -> None:
    asked = strategy.evaluate.distance
    if asked != "euclidean" and pipeline.transform is None:
        warn(
            f"evaluate.distance={asked}: is not used, because folds chose the threshold on distances as they "
            "are; evaluate.folds=0 in a new run holds models out instead, and uses it"
        )


def _outputs_of(strategy: Strategy, store: PixelStore, bar: str, model) -> Outputs:
    """Outputs of a model, as its strategy shows it photos to score."""
    asked = strategy.evaluate
    return network_outputs(model, store, asked.batch, asked.mirror, bar, asked.shift)


def _what(run: Run, task, pipeline: Pipeline) -> dict:
    """What was scored, and by which of the things that a run may ask for."""
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
    """Maps of where the network that is scored looks; where there can be none, that is told, and none are left of an earlier scoring."""
    if told := why_no_maps():
        warn(f"{told}: the report will have none")
        run.files.remove(MAPS)
        return
    write_maps(run, result.tables, plan.dataset.table, store, outputs, grad_cam())


def _tested(dataset: Dataset) -> dict[str, np.ndarray]:
    """Make and model of every test photo, by name."""
    table, rows = dataset.table, dataset.test_rows()
    named = {
        target: np.array([table.name(target, id_) for id_ in table.ids[target][rows]], object)
        for target in ("make", "model")
    }
    return {"path": table.paths[rows], **named}


def write_tables(run: Run, folder: str, result: Result, table: PhotoTable, store) -> None:
    """The result's tables below the run folder, and thumbnails of the photos in them that a report shows."""
    for name, columns in result.tables.items():
        run.write_table(folder + name, columns)
    row = {path: number for number, path in enumerate(table.paths)}
    place = f"{folder}thumbnails"
    run.files.folder(place)
    wanted = {f"{place}/{thumbnail_name(path)}": path for path in shown_photos(result.tables)}
    for name, path in wanted.items():
        run.files.write_bytes(name, jpeg(store.read(np.array([row[path]]))[0], THUMBNAIL_PX))
    for old in run.files.files(place, THUMBNAIL):  # Of an earlier scoring; whatever else lies there is none of ours.
        if old not in wanted:
            run.files.remove(old)


def _cost(run: Run, strategy: Strategy, network) -> dict:
    """What the scores were paid with: size of network and photos, work a photo, time an epoch as this machine took."""
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
    """Each score with its 95 % interval, where it has one."""
    bounds = {key: result.intervals.get(key) or (None, None) for key in result.scores}
    return {
        key: {"value": value, "low": bounds[key][0], "high": bounds[key][1]} for key, value in result.scores.items()
    }


def _baseline(task, plan, outputs) -> dict[str, float]:
    decision = task.decide(plan, outputs)
    return task.scores(plan, outputs, "test", decision).scores
