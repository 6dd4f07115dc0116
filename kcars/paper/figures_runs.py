"""Runs in figures: short names, comparable groups, main scores, the paper's values."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from kcars.core.files import real_path
from kcars.metrics.catalogue import columns
from kcars.paper.published import Published, published
from kcars.report.read import Reported
from kcars.tasks.texts import task_texts

INITIALIZATIONS = {"none": "from scratch", "imagenet": "ImageNet weights"}
ANOTHER = "weights from a file or run"
SCORE_NAMES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "roc_auc": "ROC-AUC"}


class LeftOut(Exception):  # noqa: N818  (no error)
    """Raised, with the reason, for a figure for which the runs lack data."""


@dataclass(frozen=True)
class Score:
    """A score with its 95 % interval; low and high are None without interval."""

    value: float
    low: float | None
    high: float | None

    @property
    def spread(self) -> list[list[float]]:
        """Return the extents of the interval, [[down], [up]] for error bars, not negative."""
        low, high = (self.value if bound is None else bound for bound in (self.low, self.high))
        return [[max(0.0, self.value - low)], [max(0.0, high - self.value)]]


@dataclass(frozen=True)
class Setting:
    """Properties that must be equal to compare scores. split: "test", or the monitored difficulty."""

    task: str
    target: str
    split: str
    protocol: str
    data: str


def setting(run: Reported) -> Setting:
    found = run.scores
    return Setting(
        found["task"], found["target"], found["deciding"] or "test", found["protocol"], found["data_fingerprint"]
    )


def by_setting(runs: list[Reported]) -> dict[Setting, list[Reported]]:
    """Group comparable runs, makes before models, in the given order."""
    groups: dict[Setting, list[Reported]] = {}
    for run in runs:
        groups.setdefault(setting(run), []).append(run)
    return dict(sorted(groups.items(), key=lambda item: (item[0].task, item[0].target)))


def panel_title(one: Setting, every: list[Setting]) -> str:
    """Return the title of a panel, with protocol and data if they differ between panels of one task and target."""
    title = task_texts(one.task).panel.format(target=one.target, split=one.split)
    alike = [other for other in every if (other.task, other.target) == (one.task, one.target)]
    if len({other.protocol for other in alike}) > 1:
        title += f", {one.protocol} protocol"
    if len({other.data for other in alike}) > 1:
        title += f"\ndata {one.data}"
    return title


def score(run: Reported, name: str) -> Score | None:
    """Return a score of the main split; None if it is undefined or missing."""
    found = run.scores["scores"].get(f"{setting(run).split}/{name}")
    return None if found is None or found["value"] is None else Score(found["value"], found["low"], found["high"])


def main(run: Reported) -> Score | None:
    return score(run, columns(run.scores["task"])[0])


def defined(run: Reported) -> Score:
    """Return the main score of a run that has one."""
    return cast(Score, main(run))


def leading_name(one: Setting) -> str:
    return SCORE_NAMES[columns(one.task)[0]]


def initialization(run: Reported) -> str:
    return INITIALIZATIONS.get(run.strategy.model.weights, ANOTHER)


def strategy_name(run: Reported) -> str:
    """Return the strategy's name without changes."""
    return run.scores["strategy"].partition(" (changed")[0]


def paper_row(run: Reported) -> Published | None:
    """Return the paper's row for the run's strategy, if any."""
    row = published().get(strategy_name(run))
    return row if row and row.table else None


def names(runs: list[Reported]) -> dict[Reported, str]:
    """Return the shortest unique path suffixes of the runs."""
    found = {run: real_path(run.folder).name for run in runs}
    longest = max((len(real_path(run.folder).parts) for run in runs), default=1)
    for depth in range(2, longest + 1):
        taken = Counter(found.values())
        for run, name in found.items():
            if taken[name] > 1:
                found[run] = "/".join(real_path(run.folder).parts[-depth:])
    return found


def facts_line(runs: Sequence[Reported]) -> str:
    """Return one line with protocol and data of the runs in a figure."""
    protocols, data = (list(dict.fromkeys(run.scores[key] for run in runs)) for key in ("protocol", "data_fingerprint"))
    photos = list(dict.fromkeys(str(run.scores["counts"]["test_photos"]) for run in runs))
    plural = "s" if len(protocols) > 1 else ""
    return f"protocol{plural} {', '.join(protocols)} | data {', '.join(data)} | {', '.join(photos)} test photos"
