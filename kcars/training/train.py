"""Training of a run for any task, from the first step or resumed."""

from pathlib import Path
from signal import SIGINT
from typing import TYPE_CHECKING

from kcars.core.errors import Interrupted, KcarsError, NoWayOn
from kcars.core.files import real_path
from kcars.core.plain_text import echo
from kcars.data.photo_table import Dataset, PixelStore
from kcars.runs import provenance, resume
from kcars.runs.contents import refuse_odd
from kcars.runs.keras_setup import settled, start
from kcars.runs.run import Run
from kcars.settings import Strategy
from kcars.tasks import task_module
from kcars.tasks.plan import Plan
from kcars.training.initial_weights import begin, earlier_run, refuse_tested

if TYPE_CHECKING:
    from kcars.training.frozen import FittedHead


def train(
    strategy: Strategy, dataset: Dataset, out: Path, name: str, force: bool = False, weights: dict | None = None
) -> Run:
    """Train by `strategy` on `dataset` into the run folder `out`, including the checkpoint.

    force: replaces an earlier run in `out`, one with a frozen backbone only once the new head is fitted.
    weights: the expected initial weights, as in run.json; KcarsError if `model.weights` has others.
    """
    strategy, task = settled(strategy), task_module(strategy.task)
    task.plan(dataset, strategy)  # Fails before photos are decoded.
    Run.check_place(out, force)
    earlier = earlier_run(strategy)
    if earlier and real_path(earlier.folder) == real_path(out):
        raise KcarsError(f"--out {out}: is the run that model.weights names; choose another folder")
    store, plan, folds = _prepare(strategy, dataset)
    from kcars.training.cost import fit_to_minutes

    # Fails for a wrong loss or wrong weights before a run folder is created.
    task.objective(plan)
    refuse_tested(plan, folds)
    weights = begin(task.network(plan), plan, weights) if strategy.model.weights != "none" else None
    epochs, steps = fit_to_minutes(plan, task.stream(plan, store), runs=len(folds) + 1)
    if strategy.train.max_minutes:
        echo(
            f"time: {epochs} of {strategy.train.epochs} epochs fit into {strategy.train.max_minutes:g} minutes of training"
        )
    with Run.locked(out):
        head = _fitted(plan, folds, store, weights) if strategy.frozen and Run.check_place(out, force) else None
        planned = {"epochs": epochs, "steps_per_epoch": steps}
        run = Run.create(out, plan, name, force, store.checksums, planned=planned, weights=weights)
        provenance.record(run, plan, earlier)
        _learn_all(run, plan, folds, store, head)
    return run


def go_on(run: Run, strategy: Strategy, dataset: Dataset) -> None:
    """Resume a run that was stopped, or that `strategy` extends (`resume.settings_to_go_on`).

    A run with a frozen backbone is fitted again if its data has changed, and then replaced; other runs raise KcarsError.
    """
    facts = run.facts()
    if strategy.frozen and dataset.fingerprint() != facts["data"]["fingerprint"]:
        photos = f"{len(dataset.train)} training photos of {dataset.source}"
        echo(f"run {run.folder}: its data has changed; the head is fitted again, to {photos}")
        train(strategy, dataset, run.folder, facts["strategy"], force=True, weights=facts.get("weights"))
        return
    resume.warn_of_other_machine(run)
    with Run.locked(run.folder):
        refuse_odd(run.folder)
        run.forget_halves()
        resume.refuse_other_lists(run, dataset)
        store, plan, folds = _prepare(strategy, dataset)
        if not run.files.has(provenance.TABLE):  # The run was killed before it was written.
            provenance.record(run, plan, earlier_run(strategy))
        resume.refuse_other_photos(run, store, dataset.table.paths)
        run.refuse_other_data(dataset)
        planned, facts = resume.planned(run, strategy), run.facts()
        finished = facts["finished"] and planned == facts["planned"]  # Then the run is only scored again.
        run.note(settings=strategy.model_dump(), planned=planned, finished=finished)
        run.describe(plan)
        _learn_all(run, plan, folds, store)


def _prepare(strategy: Strategy, dataset: Dataset) -> tuple[PixelStore, Plan, list[Plan]]:
    """Return the store, and the plans of the run and its folds, with the photos that can be decoded."""
    start(strategy.train)
    from kcars.images.pixel_store import open_store

    task, store = task_module(strategy.task), open_store(dataset.table, strategy.data)
    dataset = dataset.without(store.bad)
    return store, task.plan(dataset, strategy), task.folds(dataset, strategy)


def _fitted(plan: Plan, folds: list[Plan], store: PixelStore, weights: dict | None) -> "FittedHead":
    """Return the head of a frozen backbone that is to replace an earlier one."""
    from kcars.training.frozen import FittedHead

    try:
        return FittedHead(plan, folds, store, weights)
    except KeyboardInterrupt:
        raise Interrupted(SIGINT, "stopped; the earlier run is unchanged") from None


def _learn_all(run: Run, plan: Plan, folds: list[Plan], store: PixelStore, head: "FittedHead | None" = None) -> None:
    """Train each fold in a subfolder; choose epoch and decision from all folds; then train the run.

    head: the fitted head of a frozen backbone, if it is fitted. Completed steps are not repeated. Errors and interruptions name
    the command that resumes the run.
    """
    from kcars.training.fit import learn

    task, planned = task_module(plan.strategy.task), run.facts()["planned"]
    minutes = plan.strategy.train.max_minutes and plan.strategy.train.max_minutes / (len(folds) + 1)
    try:
        if plan.strategy.frozen:
            from kcars.training.frozen import FittedHead

            (head or FittedHead(plan, folds, store, run.facts().get("weights"))).write(run)
            run.note(finished=True)
            return
        histories = []
        for number, fold in enumerate(folds, 1):
            echo(f"fold {number} of {len(folds)}: {len(fold.train)} training photos, {len(fold.validation)} held out")
            steps = min(planned["steps_per_epoch"], task.stream(fold, store).steps_per_epoch)
            part = run.part(f"fold-{number}", fold, {**planned, "steps_per_epoch": steps})
            learn(fold, store, part, minutes, run.unscore)
            histories.append(part.history())
        if folds:
            chosen = task.choose(histories, plan.strategy)
            why = "the last one" if plan.strategy.train.keep == "last" else "the best on average"
            echo(f"the folds chose epoch {chosen['epoch']}, {why}; training on all {len(plan.train)} photos")
            run.note(chosen=chosen)
        learn(plan, store, run, minutes, run.unscore)
        run.note(finished=True)
    except NoWayOn:
        raise
    except KeyboardInterrupt:
        raise Interrupted(SIGINT, f"stopped; kcars train --resume {run.folder} continues from the last save") from None
    except Interrupted as stop:
        raise Interrupted(stop.signal, f"{stop}; kcars train --resume {run.folder} continues") from None
    except KcarsError as error:
        raise KcarsError(
            f"{error}; fix this, then kcars train --resume {run.folder} continues from the last save"
        ) from None
