"""Several runs side by side: short names, which of them may be compared, what leads, what the paper gives."""

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
ANOTHER = "weights of a file or run"
SCORE_NAMES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "roc_auc": "ROC-AUC"}


class LeftOut(Exception):  # noqa: N818  (no error)
    """A figure that the given runs cannot fill: one line that says why."""


@dataclass(frozen=True)
class Score:
    """A score with its 95 % interval; low and high are None where it has none."""

    value: float
    low: float | None
    high: float | None

    @property
    def spread(self) -> list[list[float]]:
        """How far the interval reaches below and above, [[down], [up]] as error bars take it; never negative."""
        low, high = (self.value if bound is None else bound for bound in (self.low, self.high))
        return [[max(0.0, self.value - low)], [max(0.0, high - self.value)]]


@dataclass(frozen=True)
class Setting:
    """What must be equal for scores to be compared. split: "test", or the difficulty that leads."""

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
    """Runs that may be compared, make before model, in the order in which they were given."""
    groups: dict[Setting, list[Reported]] = {}
    for run in runs:
        groups.setdefault(setting(run), []).append(run)
    return dict(sorted(groups.items(), key=lambda item: (item[0].task, item[0].target)))


def panel_title(one: Setting, every: list[Setting]) -> str:
    """What a panel shows; protocol and data are told where they differ between panels of one task and target."""
    title = task_texts(one.task).panel.format(target=one.target, split=one.split)
    alike = [other for other in every if (other.task, other.target) == (one.task, one.target)]
    if len({other.protocol for other in alike}) > 1:
        title += f", {one.protocol} protocol"
    if len({other.data for other in alike}) > 1:
        title += f"\ndata {one.data}"
    return title


def score(run: Reported, name: str) -> Score | None:
    """A score of the split that leads; None where it is undefined or absent."""
    found = run.scores["scores"].get(f"{setting(run).split}/{name}")
    return None if found is None or found["value"] is None else Score(found["value"], found["low"], found["high"])


def main(run: Reported) -> Score | None:
    return score(run, columns(run.scores["task"])[0])


def defined(run: Reported) -> Score:
    """The main score of a run that is shown because it has one."""
    return cast(Score, main(run))


def leading_name(one: Setting) -> str:
    return SCORE_NAMES[columns(one.task)[0]]


def initialization(run: Reported) -> str:
    return INITIALIZATIONS.get(run.strategy.model.weights, ANOTHER)


def strategy_name(run: Reported) -> str:
    """The name without what was changed."""
    return run.scores["strategy"].partition(" (changed")[0]


def paper_row(run: Reported) -> Published | None:
    """The paper's row of the run's strategy, where it is one of the paper's."""
    row = published().get(strategy_name(run))
    return row if row and row.table else None


def names(runs: list[Reported]) -> dict[Reported, str]:
    """The shortest ends of the runs' paths that tell them apart."""
    found = {run: real_path(run.folder).name for run in runs}
    longest = max((len(real_path(run.folder).parts) for run in runs), default=1)
    for depth in range(2, longest + 1):
        taken = Counter(found.values())
        for run, name in found.items():
            if taken[name] > 1:
                found[run] = "/".join(real_path(run.folder).parts[-depth:])
    return found


def facts_line(runs: Sequence[Reported]) -> str:
    """Protocol and data of the runs that a figure shows, in one line."""
    protocols, data = (list(dict.fromkeys(run.scores[key] for run in runs)) for key in ("protocol", "data_fingerprint"))
    photos = list(dict.fromkeys(str(run.scores["counts"]["test_photos"]) for run in runs))
    plural = "s" if len(protocols) > 1 else ""
    return f"protocol{plural} {', '.join(protocols)} | data {', '.join(data)} | {', '.join(photos)} test photos"
