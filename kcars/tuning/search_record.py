"""Files of a search: its record for continuing, trials.csv and best.yaml."""

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import cast

from kcars.core.csv_files import csv_text
from kcars.core.errors import KcarsError
from kcars.evaluation.score_table import aligned
from kcars.runs.resume import WITHOUT_EFFECT, differences
from kcars.schemas.search import SearchFile
from kcars.settings import Strategy
from kcars.settings.strategy import check, to_yaml
from kcars.tuning.search_space import Choice, Range, strategy_with
from kcars.untrusted.run_folder import LOCK, RunFolder

RECORD, TABLE, BEST, TRIALS = "search.json", "trials.csv", "best.yaml", "trials"
BESIDE = {LOCK, "rate_test.csv", "rate_test.png"}  # May exist before a search.
FORMAT, SHOWN = 1, 5


@dataclass
class Trial:
    """A trial of a search. sampled: setting -> number or label of a choice; state: running, complete or failed.

    score: the monitored validation score of the checkpoint; seconds: of all epochs, with validation; why: reason for a
    failure, or for not training.
    """

    number: int
    sampled: dict[str, float | int | str]
    state: str = "running"
    score: float | None = None
    epoch: int | None = None
    seconds: float | None = None
    why: str = ""


class Record:
    """search.json, written atomically after every change: the search space, and the trials so far.

    strategy: common settings of the trials; space: searched settings; data: the dataset's fingerprint.
    """

    def __init__(self, folder: Path, strategy: Strategy, space: list[Range | Choice], data: str, monitor: str):
        """Continue the search in the folder; KcarsError if it has other files, or another search."""
        self.folder, self.strategy, self.space, self.data, self.monitor = Path(folder), strategy, space, data, monitor
        self.files = RunFolder(folder)
        self.trials = self._trials_before()

    def values(self, trial: Trial) -> dict:
        """Return setting -> value of a trial."""
        return {one.key: one.value(trial.sampled[one.key]) for one in self.space}

    def strategy_of(self, trial: Trial) -> Strategy:
        """Return a trial's strategy; KcarsError if its settings are inconsistent."""
        return strategy_with(self.strategy, self.values(trial))

    def run_folder(self, trial: Trial) -> Path:
        """Return a trial's run folder; KcarsError if it, or the folder of all trials, is a link."""
        return self.files.place(f"{TRIALS}/{trial.number:03d}")

    @property
    def ended(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.state != "running"]

    @property
    def ranked(self) -> list[Trial]:
        """Complete trials, the best first; ties in order of number."""
        complete = [trial for trial in self.trials if trial.state == "complete"]
        return sorted(complete, key=lambda trial: (-cast(float, trial.score), trial.number))

    def write(self) -> None:
        """Write the record, trials.csv and best.yaml."""
        space = [str(one) for one in self.space]
        facts = {"format": FORMAT, "settings": self.strategy.model_dump(), "space": space, "data": self.data}
        self.files.write_json(RECORD, {**facts, "trials": [asdict(trial) for trial in self.trials]})
        self.files.write_text(TABLE, csv_text(self._columns()))
        if self.ranked:
            best = self.ranked[0]
            head = f"# Trial {best.number} of {len(self.ended)}: {self.monitor} {best.score:.4f} at epoch {best.epoch}; searched: "
            head += f"{', '.join(one.key for one in self.space)}\n"
            self.files.write_text(BEST, head + to_yaml(self.strategy_of(best)))

    def best_table(self) -> str:
        """Return the best trials, one line each, and the number of failures."""
        heads = ["trial", self.monitor, "epoch", "seconds", *(one.key for one in self.space)]
        rows = [heads] + [
            [
                str(trial.number),
                f"{trial.score:.4f}",
                str(trial.epoch),
                f"{trial.seconds:.0f}",
                *self.shown(trial).values(),
            ]
            for trial in self.ranked[:SHOWN]
        ]
        failed = len(self.ended) - len(self.ranked)
        summary = f"trials: {len(self.ended)}" + (f", of which {failed} failed" if failed else "")
        return "\n".join([*(aligned(rows) if self.ranked else []), summary])

    def shown(self, trial: Trial) -> dict[str, str]:
        """Return setting -> value of a trial as text, with four digits."""
        return {key: f"{value:.4g}" if isinstance(value, float) else str(value) for key, value in trial.sampled.items()}

    def _columns(self) -> dict[str, list]:
        own = ("state", "score", "epoch", "seconds")
        columns = {"trial": [trial.number for trial in self.trials]}
        columns |= {name: [_empty(getattr(trial, name)) for trial in self.trials] for name in own}
        columns |= {one.key: [trial.sampled[one.key] for trial in self.trials] for one in self.space}
        return {**columns, "why": [trial.why for trial in self.trials]}

    def _trials_before(self) -> list[Trial]:
        path = self.folder / RECORD
        if not self.files.has(RECORD):
            if self.folder.exists() and any(entry.name not in BESIDE for entry in self.folder.iterdir()):
                raise KcarsError(f"--out {self.folder}: is not a search folder; choose another folder")
            return []
        found = self.files.read_json(RECORD, SearchFile)
        if found["format"] != FORMAT:
            raise KcarsError(f"{path}: cannot be read (format {found['format']}); {self.files.remedy(RECORD)}")
        self._refuse_another(check(found["settings"], str(path)), found["space"], found["data"])
        known = {field.name for field in fields(Trial)}
        trials = [Trial(**{name: value for name, value in facts.items() if name in known}) for facts in found["trials"]]
        for trial in trials:
            self._refuse_misfit(trial, path)
        return trials

    def _refuse_misfit(self, trial: Trial, path: Path) -> None:
        """Raise KcarsError if a trial does not belong to this space."""
        try:
            if trial.sampled.keys() != {one.key for one in self.space}:
                raise ValueError("other settings")
            for one in self.space:
                if not one.distribution()._contains(one.distribution().to_internal_repr(trial.sampled[one.key])):
                    raise ValueError(f"{one.key} out of range")
        except (ValueError, TypeError) as error:
            problem = f"trial {trial.number} has {error}"
            raise KcarsError(f"{path}: cannot be read ({problem}); {self.files.remedy(RECORD)}") from None

    def _refuse_another(self, before: Strategy, space: list[str], data: str) -> None:
        where, remedy = f"--out {self.folder}: its search began with", "give the same, or choose another folder"
        for key, (old, new) in differences(before, self.strategy).items():
            if key not in WITHOUT_EFFECT:
                raise KcarsError(f"{where} {key} {old!r}, not {new!r}; {remedy}")
        if space != (own := [str(one) for one in self.space]):
            raise KcarsError(f"{where} --search {' '.join(space)}, not {' '.join(own)}; {remedy}")
        if data != self.data:
            raise KcarsError(f"{where} data {data}, not {self.data}; {remedy}")


def _empty(value):
    return "" if value is None or (isinstance(value, float) and not math.isfinite(value)) else value
