"""The run folder: settings, weights, history, scores and provenance of a run."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from kcars.core.csv_files import csv_text
from kcars.core.errors import KcarsError
from kcars.core.files import writable_folder
from kcars.data.photo_table import Classes, Dataset
from kcars.metrics.curves import FALSE_POSITIVE_RATES
from kcars.runs.contents import STATES, empty, own_files, refuse_foreign
from kcars.runs.first_facts import FORMAT, first_facts
from kcars.schemas.classes import ClassesFile
from kcars.schemas.facts import RunFile
from kcars.schemas.scores import ScoresFile
from kcars.schemas.tables import columns_in
from kcars.settings import Strategy
from kcars.settings.strategy import check, strategy_in, to_yaml
from kcars.tasks.plan import Plan
from kcars.untrusted.run_folder import BACK, DIGESTS, LOCK, RunFolder

WORK = ("photos", "seconds", "train_seconds")  # Columns of history.csv for costs.
CHECKSUMS, WEIGHTS = "photo_checksums.npy", "best.weights.h5"


class Run:
    """A folder with run.json, settings.yaml, classes.json, history.csv, best.weights.h5, scores.json and tables.

    run.json is written first and is authoritative; settings.yaml repeats its settings for people and other runs. digests.json
    detects changes of the files that predictions depend on.
    """

    def __init__(self, folder: Path):
        self.folder, self.files = Path(folder), RunFolder(folder)
        self.best_weights = self.folder / WEIGHTS

    @classmethod
    def create(
        cls, folder: Path, plan: Plan, name: str, force: bool = False, checksums: np.ndarray | None = None, **facts
    ) -> "Run":
        """Create a run folder; KcarsError if it is not empty and `force` is not given.

        checksums: of every photo, from the store; facts: additional content of run.json.
        """
        if cls.check_place(folder, force):
            empty(Path(folder))
        writable_folder(folder, "--out")
        run = cls(folder)
        run.files.write_json("run.json", {**first_facts(plan, name), **facts})
        if checksums is not None:
            run.write_checksums(checksums)
        run.describe(plan)
        return run

    def describe(self, plan: Plan) -> None:
        """Write settings.yaml and classes.json."""
        self.files.write_text("settings.yaml", to_yaml(plan.strategy))
        self.files.write_json("classes.json", {**vars(plan.classes), "ids": plan.classes.ids.tolist()})

    def classes(self) -> Classes:
        """The training classes, in the order of the outputs."""
        found = self.files.read_json("classes.json", ClassesFile)
        known = {name: found[name] for name in ("target", "names", "makes", "named") if name in found}
        return Classes(ids=np.array(found["ids"], np.int32), **known)

    @classmethod
    @contextlib.contextmanager
    def locked(cls, folder: Path) -> Iterator[None]:
        """Lock the run against training and scoring by other processes; KcarsError if it is locked.

        The folder is created if it is missing. The lock of a killed process is released.
        """
        lock = FileLock(Path(folder) / LOCK, timeout=0)
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            RunFolder(folder).has(LOCK)  # A link would be followed, and its target truncated.
            lock.acquire()
        except Timeout:
            raise KcarsError(f"run {folder}: another process is training or scoring it; wait until it ends") from None
        except OSError as error:
            raise KcarsError(
                f"run {folder}: cannot be written ({error.strerror}), but results are written there"
            ) from None
        try:
            yield
        finally:
            lock.release()

    @classmethod
    def check_place(cls, folder: Path, force: bool) -> bool:
        """Return whether `force` replaces an existing run; KcarsError if no run can be written."""
        folder = Path(folder)
        if not folder.exists() or (folder.is_dir() and not _entries(folder)):
            return False
        if not force:
            what = "is not empty" if folder.is_dir() else "is a file"
            raise KcarsError(f"--out {folder}: {what}; choose another folder or add --force")
        try:
            cls.open(folder)
        except KcarsError as error:
            raise KcarsError(f"--out: {error}; --force replaces only runs") from None
        refuse_foreign(folder, "--force")
        return True

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Open an existing run; KcarsError if the folder is not a run."""
        run = cls(folder)
        if not run.files.has("run.json"):
            what = "is not a run folder (run.json is missing)" if run.folder.is_dir() else "is a file"
            what = what if run.folder.exists() else "does not exist"
            raise KcarsError(f"run {folder}: {what}; name a folder that kcars train wrote")
        if "part_of" in run.facts():
            raise KcarsError(f"run {folder}: is a fold of {run.folder.parent}; name that run")
        run.strategy()
        return run

    def note(self, **facts) -> None:
        """Add facts to run.json."""
        self.files.write_json("run.json", {**self.facts(), **facts})

    def facts(self) -> dict:
        """run.json: name, data fingerprint, versions; KcarsError if its format is unsupported, or it is damaged."""
        return self.files.read_json("run.json", RunFile, self._refuse_other_format)

    def _refuse_other_format(self, facts) -> None:
        found = facts.get("format") if isinstance(facts, dict) else "unknown"
        if found != FORMAT:
            raise KcarsError(f"run {self.folder}: written in format {str(found):.20}; this kcars reads {FORMAT}")

    def strategy(self) -> Strategy:
        """The settings of the run, including extensions."""
        return check(self.facts()["settings"], str(self.folder / "run.json"))

    def settings_file(self) -> Strategy:
        """The settings in settings.yaml, which may have been edited."""
        if not self.files.has("settings.yaml"):  # Killed between writing the two files.
            return self.strategy()
        path = self.folder / "settings.yaml"
        return strategy_in(self.files.read_text("settings.yaml"), path)

    def refuse_other_data(self, dataset: Dataset) -> None:
        """Raise KcarsError if the dataset is not the one that the run was trained on."""
        data = self.facts()["data"]
        if dataset.fingerprint() != data["fingerprint"]:
            raise KcarsError(
                f"run {self.folder}: trained on data {data['fingerprint']} ({data['source']}); {dataset.source} is "
                f"{dataset.fingerprint()}; name the same dataset with --data"
            )

    def checksums(self) -> np.ndarray | None:
        """Checksums of all photos (n,) uint32 at the start of the run; None if it was killed before they were written."""
        if not self.files.has(CHECKSUMS):
            return None
        found = self.files.read_array(CHECKSUMS)
        if found.dtype != np.uint32 or found.ndim != 1:
            raise KcarsError(f"{self.folder / CHECKSUMS}: has no checksums; {BACK}")
        return found

    def write_checksums(self, checksums: np.ndarray) -> None:
        content = io.BytesIO()
        np.save(content, checksums)
        self.files.write_bytes(CHECKSUMS, content.getvalue())

    def part(self, name: str, plan: Plan, planned: dict) -> "Run":
        """Create or reopen the run of a fold, in a subfolder of this run."""
        folder, facts = self.files.place(name), {"planned": planned, "part_of": self.folder.name}
        if not self.files.has(f"{name}/run.json"):
            return Run.create(folder, plan, self.facts()["strategy"], **facts)
        part = Run(folder)
        part.note(settings=plan.strategy.model_dump(), **facts)
        part.describe(plan)
        return part

    def scores(self) -> dict:
        """scores.json; KcarsError if the run has not been scored."""
        if not self.files.has("scores.json"):
            if not self.facts()["finished"]:
                raise KcarsError(
                    f"run {self.folder}: is unfinished and has no scores; kcars train --resume {self.folder} finishes it, and kcars "
                    "evaluate scores its checkpoint so far"
                )
            raise KcarsError(f"run {self.folder}: has no scores yet; kcars evaluate {self.folder} first")
        found = self.files.read_json("scores.json", ScoresFile)
        strategy = self.strategy()
        for name in ("task", "target"):
            if found[name] != getattr(strategy, name):
                where = self.folder / "scores.json"
                raise KcarsError(
                    f"{where}: has {name} {found[name]}, but the run has {getattr(strategy, name)}; {BACK}"
                )
        return {"kept": strategy.train.keep, **found}  # Earlier files lack it.

    def unscore(self) -> None:
        """Remove scores that further training outdates; the run is then unfinished."""
        if self.facts()["finished"]:
            self.note(finished=False)
        self.files.remove("scores.json")

    def forget_halves(self) -> None:
        """Delete incomplete files of a killed process; no other process may use the run."""
        for file in own_files(self.folder)[1]:
            file.unlink()

    def forget_states(self) -> None:
        """Delete the saved states of the run and its folds, four times the size of their weights, which are kept."""
        for file in own_files(self.folder)[0]:
            if file.name in STATES:
                file.unlink(missing_ok=True)

    def parts(self) -> list["Run"]:
        """The folds, in order."""
        with os.scandir(self.folder) as entries:
            names = sorted(
                one.name for one in entries if one.name.startswith("fold-") and one.is_dir(follow_symlinks=False)
            )
        return [Run(self.folder / name) for name in names]

    def history(self) -> list[dict[str, float]]:
        """Return one dict per epoch, in order; KcarsError if a row has the wrong epoch."""
        path = self.folder / "history.csv"
        columns = columns_in(self.files.read_text("history.csv"), path, again := self.files.remedy("history.csv"))
        try:
            numbers = [[float(cell or "nan") for cell in column] for column in columns.values()]
        except ValueError:
            raise KcarsError(f"{path}: is damaged (some cells are not numbers); {again}") from None
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*numbers, strict=True)]
        if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)):
            raise KcarsError(f"{path}: is damaged (its epochs are not numbered from 1); {again}")
        return rows

    def costs(self) -> list[dict[str, float]]:
        """Return the history, checked to have the costs of every epoch; KcarsError otherwise."""
        rows = self.history()
        for name in WORK:
            if not all(0 <= row.get(name, -1) < 1e15 for row in rows):
                problem = f"is damaged ({name} is missing, or not a number from 0)"
                raise KcarsError(f"{self.folder / 'history.csv'}: {problem}; {self.files.remedy('history.csv')}")
        return rows

    def kept(self, column: str) -> dict[str, float]:
        """Return the history of the checkpoint's epoch (`train.keep`): the best in a column, or the last."""
        rows = self.history()
        if not rows or column not in rows[0]:
            what = f"no column {column}" if rows else "no epoch"
            raise KcarsError(f"{self.folder / 'history.csv'}: has {what}; {self.files.remedy('history.csv')}")
        if self.strategy().train.keep == "last":
            return rows[-1]
        return max(rows, key=lambda row: (row[column] == row[column], row[column]))  # An undefined score ranks last.

    def record(self, rows: list[dict]) -> None:
        """Write the whole history atomically."""
        self.write_table("history.csv", {key: np.array([row.get(key, "") for row in rows], object) for key in rows[0]})

    def record_class_recall(self, classes: Classes, rows: list[list]) -> None:
        """Write class_recall.csv, the training recall: one row per epoch, beginning with its number, one column per class id."""
        columns = np.array(rows, object).T
        self.write_table("class_recall.csv", dict(zip(["epoch", *classes.ids.tolist()], columns, strict=True)))

    def record_roc(self, rows: list[list]) -> None:
        """Write roc.csv of validation: one row per epoch and difficulty, with these two, then the rates of `curves.roc`."""
        names = ["epoch", "difficulty", *(f"{rate:.2f}" for rate in FALSE_POSITIVE_RATES)]
        self.write_table("roc.csv", dict(zip(names, np.array(rows, object).T, strict=True)))

    def write_table(self, name: str, columns: dict[str, np.ndarray]) -> None:
        """Write columns of equal length as a CSV file."""
        self.files.write_text(name, csv_text({name: column.tolist() for name, column in columns.items()}))


def _entries(folder: Path) -> list[Path]:
    """Return a folder's entries without the lock and incomplete files of a process killed at its start."""
    beginning = (".run.json.", f".{DIGESTS}.")
    return [one for one in folder.iterdir() if one.name not in (LOCK, DIGESTS) and not one.name.startswith(beginning)]
