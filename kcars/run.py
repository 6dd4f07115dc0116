"""The run folder: everything that a run was and gave, described by itself."""

import contextlib
import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml
from filelock import FileLock, Timeout

from kcars.curves import FALSE_POSITIVE_RATES
from kcars.data.index import Classes, Dataset
from kcars.errors import KcarsError
from kcars.files import csv_text, writable_folder, write_json, write_text, written_whole
from kcars.machine import machine, versions
from kcars.settings import Strategy
from kcars.strategy import check, to_yaml
from kcars.tasks.plan import Plan

FORMAT = 2
LOCK, CHECKSUMS = ".lock", "photo_checksums.npy"
# As `written_whole` and the savers of weights and states name a file before it is whole.
HALF_WRITTEN = (
    r"\.[a-z_.]+\.(json|yaml|csv|tsv|pbtxt|png|jpg|npy|npz)\.\w{8}|\.best\.weights\.h5|\.state\.previous\.npz"
)
_FACTS = {
    "strategy": str,
    "settings": dict,
    "data": dict,
    "versions": dict,
    "machine": dict,
    "planned": dict,
    "finished": bool,
}


class Run:
    """A folder with run.json, settings.yaml, classes.json, history.csv, best.weights.h5, scores.json and tables.

    run.json is written first and is what counts: settings.yaml says for people, and other runs, what stands in it.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.best_weights = self.folder / "best.weights.h5"

    @classmethod
    def create(
        cls, folder: Path, plan: Plan, name: str, force: bool = False, checksums: np.ndarray | None = None, **facts
    ) -> "Run":
        """A new run folder; KcarsError where it holds something already and `force` is not given.

        checksums: of every photo, as the store gives them; facts: more for run.json.
        """
        if cls.check_place(folder, force):
            _empty(folder)
        writable_folder(folder, "--out")
        run = cls(folder)
        write_json(folder / "run.json", {**_facts(plan, name), **facts})
        if checksums is not None:
            run.write_checksums(checksums)
        run.describe(plan)
        return run

    def describe(self, plan: Plan) -> None:
        """Write settings.yaml and classes.json."""
        write_text(self.folder / "settings.yaml", to_yaml(plan.strategy))
        write_json(self.folder / "classes.json", {**vars(plan.classes), "ids": plan.classes.ids.tolist()})

    def classes(self) -> Classes:
        """The classes that the run learns, in the order of its outputs."""
        try:
            found = self._read("classes.json", json.loads)
            return Classes(**{**found, "ids": np.array(found["ids"], np.int32)})
        except (TypeError, KeyError, ValueError) as error:
            raise KcarsError(
                f"{self.folder / 'classes.json'}: is damaged ({error}); put it back, or train anew"
            ) from None

    @classmethod
    @contextlib.contextmanager
    def locked(cls, folder: Path) -> Iterator[None]:
        """Inside the block no other process trains or scores the run; KcarsError where one does.

        The folder is made where it is missing. A killed process holds no lock.
        """
        lock = FileLock(Path(folder) / LOCK, timeout=0)
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise KcarsError(f"run {folder}: another process trains or scores it; wait for its end") from None
        except OSError as error:
            raise KcarsError(
                f"run {folder}: cannot be written ({error.strerror}); all it gives is written there"
            ) from None
        try:
            yield
        finally:
            lock.release()

    @classmethod
    def check_place(cls, folder: Path, force: bool) -> bool:
        """Whether an earlier run lies there that `force` replaces; KcarsError where no run can be written."""
        folder = Path(folder)
        if not folder.exists() or (folder.is_dir() and not _entries(folder)):
            return False
        if not force:
            what = "holds something already" if folder.is_dir() else "is a file"
            raise KcarsError(f"--out {folder}: {what}; choose another folder or add --force")
        try:
            cls.open(folder)
        except KcarsError as error:
            raise KcarsError(f"--out: {error}; --force replaces earlier runs only") from None
        return True

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """An existing run; KcarsError where the folder is none."""
        run = cls(folder)
        if not (run.folder / "run.json").is_file():
            what = "is no run folder (run.json is missing)" if run.folder.is_dir() else "is a file"
            what = what if run.folder.exists() else "does not exist"
            raise KcarsError(f"run {folder}: {what}; name a folder that kcars train wrote")
        facts = run.facts()
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            found = facts.get("format") if isinstance(facts, dict) else "unknown"
            raise KcarsError(f"run {folder}: written in format {found}; this kcars reads {FORMAT}")
        if "part_of" in facts:
            raise KcarsError(f"run {folder}: is a fold of {run.folder.parent}; name that")
        run._check(facts)
        return run

    def _check(self, facts: dict) -> None:
        """KcarsError where run.json lacks what every run has."""
        damaged = [name for name, kind in _FACTS.items() if not isinstance(facts.get(name), kind)]
        parts = {"planned": ("epochs", "steps_per_epoch"), "data": ("fingerprint", "source")}
        for name, keys in parts.items():
            kind = int if name == "planned" else str
            damaged += [
                f"{name}.{key}" for key in keys if name not in damaged and not isinstance(facts[name].get(key), kind)
            ]
        if damaged:
            raise KcarsError(
                f"{self.folder / 'run.json'}: {damaged[0]} is missing or damaged; put it back, or train anew"
            )

    def note(self, **facts) -> None:
        """Add facts to run.json."""
        write_json(self.folder / "run.json", {**self.facts(), **facts})

    def facts(self) -> dict:
        """run.json: name, data fingerprint, versions."""
        return self._read("run.json", json.loads)

    def strategy(self) -> Strategy:
        """The settings that the run began with, and was extended to."""
        return check(self.facts()["settings"], str(self.folder / "run.json"))

    def settings_file(self) -> Strategy:
        """What settings.yaml says, which somebody may have edited."""
        path = self.folder / "settings.yaml"
        if not path.exists():  # Killed between the two files.
            return self.strategy()
        return check(self._read(path.name, yaml.safe_load), str(path))

    def refuse_other_data(self, dataset: Dataset) -> None:
        """KcarsError where the dataset is not the one that the run was trained on."""
        data = self.facts()["data"]
        if dataset.fingerprint() != data["fingerprint"]:
            raise KcarsError(
                f"run {self.folder}: trained on data {data['fingerprint']} ({data['source']}); {dataset.source} is "
                f"{dataset.fingerprint()}; name the same dataset with --data"
            )

    def checksums(self) -> np.ndarray | None:
        """Of every photo (n,) uint32, as the run began; None where a run was killed before they were written."""
        path = self.folder / CHECKSUMS
        try:
            return np.load(path) if path.exists() else None
        except (OSError, ValueError, EOFError) as error:
            raise KcarsError(
                f"{path}: cannot be read ({str(error).splitlines()[0]}); put it back, or train anew"
            ) from None

    def write_checksums(self, checksums: np.ndarray) -> None:
        with written_whole(self.folder / CHECKSUMS, "wb") as file:
            np.save(file, checksums)

    def part(self, name: str, plan: Plan, planned: dict) -> "Run":
        """The run of a fold, in a folder below this one: made, or taken up where it stands."""
        folder, facts = self.folder / name, {"planned": planned, "part_of": self.folder.name}
        if not (folder / "run.json").exists():
            return Run.create(folder, plan, self.facts()["strategy"], **facts)
        part = Run(folder)
        part.note(settings=plan.strategy.model_dump(), **facts)
        part.describe(plan)
        return part

    def scores(self) -> dict:
        """scores.json; KcarsError where the run has not been scored."""
        if not (self.folder / "scores.json").is_file():
            if not self.facts()["finished"]:
                raise KcarsError(
                    f"run {self.folder}: is unfinished and has no scores; kcars train --resume {self.folder} ends it, kcars "
                    "evaluate scores what it has learned so far"
                )
            raise KcarsError(f"run {self.folder}: has no scores yet; kcars evaluate {self.folder} first")
        return {"kept": self.strategy().train.keep, **self._read("scores.json", json.loads)}  # Earlier files lack it.

    def unscore(self) -> None:
        """Take away scores that training outdates now, and not before: the run is unfinished from here on."""
        if self.facts()["finished"]:
            self.note(finished=False)
        (self.folder / "scores.json").unlink(missing_ok=True)

    def forget_halves(self) -> None:
        """Delete what a killed process left half written; nobody else may be at work here."""
        for file in self.folder.rglob(".*"):
            if re.fullmatch(HALF_WRITTEN, file.name):
                file.unlink()

    def history(self) -> list[dict[str, float]]:
        """One dict an epoch, in order."""
        text = self._read("history.csv", str)
        return [{key: float(value or "nan") for key, value in row.items()} for row in csv.DictReader(io.StringIO(text))]

    def kept(self, column: str) -> dict[str, float]:
        """Of the history, the epoch whose weights the run keeps (`train.keep`): the best in a column, or the last."""
        rows = self.history()
        if self.strategy().train.keep == "last":
            return rows[-1]
        return max(rows, key=lambda row: (row[column] == row[column], row[column]))  # An undefined score is no best.

    def record(self, rows: list[dict]) -> None:
        """Write the whole history; a killed process never leaves half a line."""
        self.write_table("history.csv", {key: np.array([row.get(key, "") for row in rows], object) for key in rows[0]})

    def record_class_recall(self, classes: Classes, rows: list[list]) -> None:
        """Write class_recall.csv, training recall: a row an epoch, which begins with its number, a column a class id."""
        columns = np.array(rows, object).T
        self.write_table("class_recall.csv", dict(zip(["epoch", *classes.ids.tolist()], columns, strict=True)))

    def record_roc(self, rows: list[list]) -> None:
        """Write roc.csv, of validation: a row an epoch and difficulty, these two, then the rates of `curves.roc`."""
        names = ["epoch", "difficulty", *(f"{rate:.2f}" for rate in FALSE_POSITIVE_RATES)]
        self.write_table("roc.csv", dict(zip(names, np.array(rows, object).T, strict=True)))

    def write_table(self, name: str, columns: dict[str, np.ndarray]) -> None:
        """Columns of equal length as a CSV file."""
        write_text(self.folder / name, csv_text({name: column.tolist() for name, column in columns.items()}))

    def _read(self, name: str, parse):
        path = self.folder / name
        try:
            return parse(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            told = getattr(error, "problem", None) or getattr(error, "strerror", None) or str(error)
            raise KcarsError(f"{path}: cannot be read ({told.splitlines()[0]})") from None


def _entries(folder: Path) -> list[Path]:
    """What a folder holds, but for the lock and what a process that was killed at its start left half written."""
    return [entry for entry in folder.iterdir() if entry.name != LOCK and not entry.name.startswith(".run.json.")]


def _empty(folder: Path) -> None:
    """Delete a run, run.json last: killed on the way, what is left is still a run, and can be replaced."""
    entries = [entry for entry in folder.iterdir() if entry.name not in (LOCK, "run.json")]
    for entry in entries:
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    (folder / "run.json").unlink()


def _facts(plan: Plan, name: str) -> dict:
    dataset = plan.dataset
    unknown, boxed = int((plan.labels(dataset.test) < 0).sum()), plan.strategy.data.crop == "box"
    return {
        "format": FORMAT,
        "strategy": name,
        "finished": False,
        "settings": plan.strategy.model_dump(),
        "data": {
            "source": str(Path(dataset.source).resolve()),
            "fingerprint": dataset.fingerprint(),
            "split": dataset.split,
            "missing_photos": len(dataset.missing),
            "bad_photos": list(dataset.bad),
            "training_photos": len(plan.train),
            "training_photos_in_boxes": int((dataset.index.box[plan.train, 0] >= 0).sum()) if boxed else 0,
            "validation_photos": len(plan.validation),
            "test_photos": len(dataset.test_rows()) - unknown,
            "test_photos_of_unknown_classes": unknown,
            "classes": len(plan.classes),
        },
        "versions": versions(),
        "machine": machine(),
    }
