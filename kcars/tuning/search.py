"""Search for settings: trials are runs ranked by validation; finished trials are kept."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT

from kcars.core.errors import Diverged, Interrupted, KcarsError, NoWayOn
from kcars.core.files import writable_folder
from kcars.core.plain_text import echo
from kcars.core.rng import generator
from kcars.data.photo_table import Dataset
from kcars.runs.keras_setup import forget_networks, settled, start
from kcars.runs.resume import WITHOUT_EFFECT, differences, settings_to_go_on
from kcars.runs.run import Run
from kcars.settings import Strategy
from kcars.tasks import task_module
from kcars.tasks.plan import history_column
from kcars.training.initial_weights import begin
from kcars.training.train import go_on, train
from kcars.tuning.search_record import Record, Trial
from kcars.tuning.search_space import Choice, Range


def refuse_paper(strategy: Strategy) -> None:
    """Raise KcarsError for protocol `paper`, which validates on the test split."""
    if strategy.evaluate.protocol == "paper":
        raise KcarsError(
            "--search: evaluate.protocol paper validates on the test split, which must not choose settings; add --set "
            "evaluate.protocol=honest"
        )


def search(
    record: Record, dataset: Dataset, title: str, trials: int, minutes: float | None = None, report: Callable = echo
) -> None:
    """Run trials up to a total number, or until the minutes are over; record each when it ends.

    Raises Interrupted, and KcarsError for errors that affect all trials; the same call then continues.
    """
    writable_folder(record.folder, "--out")
    with Run.locked(record.folder):
        for trial in record.ended:
            _forget_states(record.run_folder(trial))  # A killed process leaves states.
        if len(record.ended) < trials:
            _refuse_bad_photos(record.strategy, dataset)
        until, begun = time.monotonic() + (minutes or math.inf) * 60, 0
        while len(record.ended) < trials and (not begun or time.monotonic() < until):
            begun += 1
            trial = _next(record)
            report(f"trial {trial.number} of {trials}: {_listed(record.shown(trial))}")
            _run_trial(record, trial, dataset, title, report)
            report(f"trial {trial.number}: {_outcome(trial)}")
            record.write()
            _forget_states(record.run_folder(trial))


def sample(space: list[Range | Choice], ended: list[Trial], seed: int) -> dict:
    """Sample setting -> number or label for the next trial, with the tree-structured Parzen estimator (Bergstra et al. 2011).

    Depends only on the previous trials and the seed. Failed trials count as the worst.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {one.key: one.distribution() for one in space}
    own = int(generator(seed, "search", len(ended)).integers(2**31))
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=own))
    for trial in ended:
        complete = trial.state == "complete"
        how = optuna.trial.TrialState.COMPLETE if complete else optuna.trial.TrialState.PRUNED
        study.add_trial(
            optuna.trial.create_trial(
                params=trial.sampled, distributions=distributions, state=how, value=trial.score if complete else None
            )
        )
    return study.ask(distributions).params


def kept(run: Run) -> tuple[float, int]:
    """Return the monitored validation score of a run's checkpoint, and its epoch; NaN if undefined."""
    if chosen := run.facts().get("chosen"):  # Chosen by folds.
        return chosen["score"], chosen["epoch"]
    strategy = run.strategy()
    column = history_column(task_module(strategy.task).monitor(strategy))
    row = run.kept(column)
    return row[column], int(row["epoch"])


def _next(record: Record) -> Trial:
    """Return the stopped trial, or a new one."""
    if record.trials and record.trials[-1].state == "running":
        return record.trials[-1]
    sampled = sample(record.space, record.ended, record.strategy.train.seed)
    record.trials.append(Trial(len(record.trials) + 1, sampled))
    record.write()
    return record.trials[-1]


def _run_trial(record: Record, trial: Trial, dataset: Dataset, title: str, report: Callable) -> None:
    """Train or resume a trial, and record its result in it."""
    if same := next((other for other in record.ended if other.sampled == trial.sampled), None):
        trial.state, trial.score, trial.epoch, trial.seconds = same.state, same.score, same.epoch, 0.0
        trial.why = f"the same as trial {same.number}"
        return
    try:
        strategy = settled(record.strategy_of(trial))
        _refuse_misfit(strategy, dataset)
    except KcarsError as error:
        trial.state, trial.why = "failed", str(error)
        return
    try:
        run = _trained(strategy, dataset, record.run_folder(trial), title, report)
    except Diverged as error:
        trial.state, trial.why = "failed", str(error)
        return
    except (KeyboardInterrupt, Interrupted) as stop:
        number = getattr(stop, "signal", SIGINT)
        raise Interrupted(number, f"stopped in trial {trial.number}; the same command continues") from None
    except KcarsError as error:
        # The cause, without the advice to resume this run alone.
        cause = error.__context__ if isinstance(error.__context__, KcarsError) else error
        raise KcarsError(f"trial {trial.number}: {cause}; fix this, then the same command continues") from None
    except Exception as error:
        if type(error).__name__ != "ResourceExhaustedError":  # TensorFlow's.
            raise
        trial.state, trial.why = "failed", "out of memory"
        return
    score, trial.epoch = kept(run)
    if score != score:
        trial.state, trial.why = "failed", f"{record.monitor} is undefined"
        return
    trial.state, trial.score = "complete", score
    trial.seconds = round(sum(row["seconds"] for part in _parts(run) for row in part.costs()), 3)


def _trained(strategy: Strategy, dataset: Dataset, folder: Path, title: str, report: Callable) -> Run:
    """Return the finished run of a trial; a stopped run is resumed, or restarted if it cannot be."""
    forget_networks()
    if not (folder / "run.json").is_file():
        return train(strategy, dataset, folder, title)
    run = Run.open(folder)
    try:
        if set(differences(run.strategy(), strategy)) - WITHOUT_EFFECT:
            raise NoWayOn(f"run {folder}: has other settings")
        if not run.facts()["finished"]:
            go_on(run, _settings_to_go_on(run), dataset)
        return run
    except Diverged:
        raise
    except NoWayOn as error:
        report(f"{error}; it is restarted")
        return train(strategy, dataset, folder, title, force=True)


def _settings_to_go_on(run: Run) -> Strategy:
    try:
        return settings_to_go_on(run, ())
    except KcarsError as error:  # Changed library versions, or an edited settings.yaml.
        raise NoWayOn(str(error)) from None


def _refuse_bad_photos(strategy: Strategy, dataset: Dataset) -> None:
    """Raise KcarsError for photos on which no trial could be trained, so that trials do not fail for it."""
    strategy = settled(strategy)
    task_module(strategy.task).plan(dataset, strategy)
    start(strategy.train)
    from kcars.images.pixel_store import open_store

    open_store(dataset.table, strategy.data)


def _refuse_misfit(strategy: Strategy, dataset: Dataset) -> None:
    """Raise KcarsError if settings do not fit the data or each other, as training checks before it begins."""
    task = task_module(strategy.task)
    plan = task.plan(dataset, strategy)
    start(strategy.train)
    task.objective(plan)
    begin(task.network(plan), plan)


def _parts(run: Run) -> list[Run]:
    """Return the run and its folds."""
    return [run, *run.parts()]


def _forget_states(folder: Path) -> None:
    if folder.is_dir():
        Run(folder).forget_states()


def _listed(values: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items())


def _outcome(trial: Trial) -> str:
    if trial.state == "failed":
        return f"failed: {trial.why}"
    result = f"{trial.score:.4f} at epoch {trial.epoch}"
    return result + (f", {trial.why}" if trial.why else f", {trial.seconds:.0f} s")
