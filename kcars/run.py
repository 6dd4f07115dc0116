"""The run folder: everything that a run was and gave, described by itself."""

import csv
import io
import json
import platform
import shutil
from importlib import metadata
from pathlib import Path

import numpy as np
import yaml

from kcars import __version__
from kcars.data.index import Classes
from kcars.errors import KcarsError
from kcars.files import csv_text, writable_folder, write_json, write_text
from kcars.settings import Strategy
from kcars.strategy import check, to_yaml
from kcars.tasks.plan import Plan

FORMAT = 1
_PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "numpy", "albumentations", "opencv-python-headless")


class Run:
    """A folder with run.json, settings.yaml, classes.json, history.csv, best.weights.h5, scores.json and tables."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.best_weights = self.folder / "best.weights.h5"
        self.class_recall: list[list] = []

    @classmethod
    def create(cls, folder: Path, plan: Plan, name: str, force: bool = False) -> "Run":
        """A new run folder; KcarsError where it holds something already and `force` is not given."""
        if cls.check_place(folder, force):
            shutil.rmtree(folder)
        writable_folder(folder, "--out")
        run = cls(folder)
        write_text(folder / "settings.yaml", to_yaml(plan.strategy))
        classes = plan.classes
        write_json(
            folder / "classes.json",
            {"target": classes.target, "ids": classes.ids.tolist(), "names": classes.names},
        )
        write_json(folder / "run.json", _facts(plan, name))
        return run

    @classmethod
    def check_place(cls, folder: Path, force: bool) -> bool:
        """Whether an earlier run lies there that `force` replaces; KcarsError where no run can be written."""
        folder = Path(folder)
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
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
            what = "is no run folder (run.json is missing)" if run.folder.is_dir() else "does not exist"
            raise KcarsError(f"run {folder}: {what}; name a folder that kcars train wrote")
        if run.facts().get("format") != FORMAT:
            raise KcarsError(f"run {folder}: written in format {run.facts().get('format')}; this kcars reads {FORMAT}")
        return run

    def note(self, **facts) -> None:
        """Add facts to run.json."""
        write_json(self.folder / "run.json", {**self.facts(), **facts})

    def facts(self) -> dict:
        """run.json: name, data fingerprint, versions."""
        return self._read("run.json", json.loads)

    def strategy(self) -> Strategy:
        return check(self._read("settings.yaml", yaml.safe_load), str(self.folder / "settings.yaml"))

    def history(self) -> list[dict[str, float]]:
        """One dict an epoch, in order."""
        text = self._read("history.csv", str)
        return [{key: float(value or "nan") for key, value in row.items()} for row in csv.DictReader(io.StringIO(text))]

    def record(self, rows: list[dict]) -> None:
        """Write the whole history; a killed process never leaves half a line."""
        self.write_table("history.csv", {key: np.array([row.get(key, "") for row in rows], object) for key in rows[0]})

    def record_class_recall(self, classes: Classes, epoch: int, recall: np.ndarray) -> None:
        """Add an epoch's training recall (classes,) to class_recall.csv: a row an epoch, a column a class id."""
        self.class_recall.append([epoch, *recall.round(6)])
        columns = np.array(self.class_recall, object).T
        self.write_table("class_recall.csv", dict(zip(["epoch", *classes.ids.tolist()], columns, strict=True)))

    def write_table(self, name: str, columns: dict[str, np.ndarray]) -> None:
        """Columns of equal length as a CSV file."""
        write_text(self.folder / name, csv_text({name: column.tolist() for name, column in columns.items()}))

    def _read(self, name: str, parse):
        path = self.folder / name
        try:
            return parse(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise KcarsError(f"{path}: cannot be read ({error})") from None


def _facts(plan: Plan, name: str) -> dict:
    dataset = plan.dataset
    unknown = int((plan.labels(dataset.test) < 0).sum())
    return {
        "format": FORMAT,
        "strategy": name,
        "kcars": __version__,
        "data": {
            "source": str(Path(dataset.source).resolve()),
            "fingerprint": dataset.fingerprint(),
            "split": dataset.split,
            "missing_photos": len(dataset.missing),
            "bad_photos": list(dataset.bad),
            "training_photos": len(plan.train),
            "validation_photos": len(plan.validation),
            "test_photos": len(dataset.test_rows()) - unknown,
            "test_photos_of_unknown_classes": unknown,
            "classes": len(plan.classes),
        },
        "versions": versions(),
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "python": platform.python_version(),
        },
    }


def versions() -> dict[str, str]:
    """Installed versions of the packages that decide a run's numbers."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
