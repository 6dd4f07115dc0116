"""Reproduces the paper's tables: a run per strategy and protocol; finished runs are kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT

from kcars.core.errors import Interrupted, KcarsError, one_of
from kcars.core.files import writable_folder
from kcars.core.plain_text import echo
from kcars.data.photo_table import Dataset
from kcars.evaluation.evaluate import evaluate
from kcars.paper import table_files, tables
from kcars.runs.keras_setup import forget_networks
from kcars.runs.resume import WITHOUT_EFFECT, differences, settings_to_go_on
from kcars.runs.run import Run
from kcars.settings import Strategy
from kcars.settings.strategy import changed_name, load_strategy
from kcars.training.train import go_on, train
from kcars.untrusted.reading import refuse_links

PROTOCOLS = ("honest", "paper")


@dataclass(frozen=True, eq=False)
class Wanted:
    """A run of a table: strategy, protocol, settings and folder."""

    name: str
    protocol: str
    settings: Strategy
    folder: Path

    def __str__(self) -> str:
        return f"{self.name}, {self.protocol} protocol"

    def existing(self) -> Run | None:
        """Return the run in the folder; None before training."""
        return Run.open(self.folder) if (self.folder / "run.json").is_file() else None


def wanted(
    table: str,
    out: Path,
    names: Sequence[str] = (),
    overrides: Sequence[str] = (),
    protocols: Sequence[str] = PROTOCOLS,
) -> list[Wanted]:
    """Return the runs of a table by strategy; names: only these strategies. KcarsError for a strategy not in the table."""
    rows = tables.rows_of(table)
    for name in names:
        if name not in rows:
            raise one_of(f"--strategies ({table})", name, rows)
    if "evaluate.protocol" in {text.partition("=")[0].strip() for text in overrides}:
        raise KcarsError("--set evaluate.protocol: use --protocol instead")
    return [
        Wanted(
            name, protocol, load_strategy(name, [*overrides, f"evaluate.protocol={protocol}"]), out / protocol / name
        )
        for name in rows
        if not names or name in names
        for protocol in protocols
    ]


def reproduce(
    table: str, out: Path, runs: list[Wanted], dataset: Dataset, overrides: Sequence[str] = (), report: Callable = echo
) -> dict[Wanted, str]:
    """Make all missing runs, writing the table after each; return the reasons for failed runs.

    Raises KcarsError, before any training, if the folder has links in place of runs, or runs with other settings or data, and
    Interrupted with the command that continues.
    """
    writable_folder(out, "--out")
    for one in runs:
        refuse_links(out, one.folder)
    _refuse_others(runs, dataset)
    reasons: dict[Wanted, str] = {}
    for number, one in enumerate(runs, 1):
        report(f"{one} ({number} of {len(runs)}): {_state(one)}")
        try:
            _train_and_score(one, dataset, changed_name(one.name, overrides))
        except KcarsError as error:
            reasons[one] = str(error)
            report(f"{one}: skipped: {error}")
        except (KeyboardInterrupt, Interrupted) as stop:
            raise Interrupted(
                getattr(stop, "signal", SIGINT), f"stopped at {one}; the same command continues"
            ) from None
        write(table, out, runs, reasons, overrides)
    return reasons


def write(
    table: str, out: Path, runs: list[Wanted], reasons: dict[Wanted, str], overrides: Sequence[str]
) -> list[Path]:
    """Write the table's files to `out` from the current run folders."""
    folders: dict[str, dict[str, Path]] = {}
    for one in runs:
        folders.setdefault(one.name, {})[one.protocol] = one.folder
    missing = {(one.name, one.protocol): reason for one, reason in reasons.items()}
    return table_files.write(tables.build(table, folders, missing, overrides), out)


def _state(one: Wanted) -> str:
    run = one.existing()
    if run is None:
        return "trains"
    if not run.facts()["finished"]:
        return "is resumed"
    return "is done" if _scored(run) else "is trained and now scored"


def _train_and_score(one: Wanted, dataset: Dataset, title: str) -> None:
    """Do the remaining steps of a run: train, resume, score."""
    run = one.existing()
    if run is None or not run.facts()["finished"]:
        forget_networks()
    if run is None:
        run = train(one.settings, dataset, one.folder, title)
    elif not run.facts()["finished"]:
        go_on(run, settings_to_go_on(run, ()), dataset)
    if not _scored(run):
        evaluate(run, dataset)


def _scored(run: Run) -> bool:
    """Return whether the finished run has scores."""
    return (run.folder / "scores.json").is_file() and run.scores()["finished"]


def _refuse_others(runs: list[Wanted], dataset: Dataset) -> None:
    for one in runs:
        run = one.existing()
        if run is None:
            continue
        run.refuse_other_data(dataset)
        changes = {
            key: pair for key, pair in differences(run.strategy(), one.settings).items() if key not in WITHOUT_EFFECT
        }
        for key, (before, now) in changes.items():
            raise KcarsError(
                f"--out: {one.folder} was made with {key} {before!r}, but this table has {now!r}; give the same --set and "
                "--epochs, or choose another folder"
            )
