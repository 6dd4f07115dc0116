"""The paper's tables again: every strategy of one by both protocols, each as a run of its own; what is done stays done."""

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

PROTOCOLS = ("honest", "paper")


@dataclass(frozen=True, eq=False)
class Wanted:
    """A run of a table: by which strategy and protocol, with what settings, into which folder."""

    name: str
    protocol: str
    settings: Strategy
    folder: Path

    def __str__(self) -> str:
        return f"{self.name}, {self.protocol} protocol"

    def existing(self) -> Run | None:
        """The run that lies there; None where training has not begun."""
        return Run.open(self.folder) if (self.folder / "run.json").is_file() else None


def wanted(
    table: str,
    out: Path,
    names: Sequence[str] = (),
    overrides: Sequence[str] = (),
    protocols: Sequence[str] = PROTOCOLS,
) -> list[Wanted]:
    """The runs of a table, strategy by strategy; `names`: these strategies only. KcarsError for one that it has not."""
    rows = tables.rows_of(table)
    for name in names:
        if name not in rows:
            raise one_of(f"--strategies ({table})", name, rows)
    if "evaluate.protocol" in {text.partition("=")[0].strip() for text in overrides}:
        raise KcarsError("--set evaluate.protocol: --protocol says which of the two are run")
    return [
        Wanted(
            name, protocol, load_strategy(name, [*overrides, f"evaluate.protocol={protocol}"]), out / protocol / name
        )
        for name in rows
        if not names or name in names
        for protocol in protocols
    ]


def reproduce(
    table: str, out: Path, runs: list[Wanted], dataset: Dataset, overrides: Sequence[str] = (), tell: Callable = echo
) -> dict[Wanted, str]:
    """Make every run that is not there yet, writing the table after each; why some could not be made.

    Raises KcarsError before anything is trained where the folder holds runs of other settings or data, and
    Interrupted with the way on.
    """
    writable_folder(out, "--out")
    _refuse_others(runs, dataset)
    reasons: dict[Wanted, str] = {}
    for number, one in enumerate(runs, 1):
        tell(f"{one} ({number} of {len(runs)}): {_state(one)}")
        try:
            _bring(one, dataset, changed_name(one.name, overrides))
        except KcarsError as error:
            reasons[one] = str(error)
            tell(f"{one}: passed over: {error}")
        except (KeyboardInterrupt, Interrupted) as stop:
            raise Interrupted(getattr(stop, "signal", SIGINT), f"stopped at {one}; the same command goes on") from None
        write(table, out, runs, reasons, overrides)
    return reasons


def write(
    table: str, out: Path, runs: list[Wanted], reasons: dict[Wanted, str], overrides: Sequence[str]
) -> list[Path]:
    """The table's files in `out`, from what lies in the run folders now."""
    folders: dict[str, dict[str, Path]] = {}
    for one in runs:
        folders.setdefault(one.name, {})[one.protocol] = one.folder
    told = {(one.name, one.protocol): reason for one, reason in reasons.items()}
    return table_files.write(tables.build(table, folders, told, overrides), out)


def _state(one: Wanted) -> str:
    run = one.existing()
    if run is None:
        return "trains"
    if not run.facts()["finished"]:
        return "was stopped, goes on"
    return "is done" if _scored(run) else "is trained, is scored now"


def _bring(one: Wanted, dataset: Dataset, title: str) -> None:
    """Train, go on, score: whatever is left of a run."""
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
    """Whether scores of the finished run are there."""
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
                f"--out: {one.folder} was made with {key} {before!r}, this table asks for {now!r}; give the same --set and "
                "--epochs, or choose another folder"
            )
