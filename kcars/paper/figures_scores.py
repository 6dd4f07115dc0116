"""Figures 3, 5 and 6: scores of several runs, and their costs."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from kcars.core.plain_text import in_figure
from kcars.paper.figures_labels import label_points
from kcars.paper.figures_runs import (
    ANOTHER,
    INITIALIZATIONS,
    LeftOut,
    Setting,
    by_setting,
    defined,
    initialization,
    leading_name,
    main,
    names,
    panel_title,
    paper_row,
    score,
)
from kcars.paper.figures_style import GREY, look, point_key, sheet, unused
from kcars.report.read import Reported
from kcars.runs.resume import differences

INTERVALS = "bars: 95 % intervals"
NAMED = 4  # Maximum number of settings in a note.
BOTH = ("accuracy", "balanced_accuracy")
LOSSES = {
    "cross_entropy": "cross entropy",
    "focal": "focal",
    "binary_cross_entropy": "binary cross entropy",
    "contrastive": "contrastive",
    "sigmoid_focal": "focal",
}
LOSS_LOOKS = {"cross entropy": 0, "focal": 1, "binary cross entropy": 4, "contrastive": 2}
SIZES = (0.1e6, 0.5e6, 1e6, 5e6, 10e6, 20e6, 40e6, 80e6)  # Parameters in the legend of figure 6.


def accuracy_and_balanced(runs: list[Reported]) -> Iterator[tuple[str, Figure]]:
    """Draw Figure 3: accuracy and balanced accuracy of every classification run, with intervals, and the paper's values."""
    shown = [run for run in runs if run.scores["task"] == "classify"]
    if not shown:
        raise LeftOut("shows classification runs, but none is given")
    groups, called, rows = by_setting(shown), names(shown), len(shown)
    keys, notes = (
        [point_key(0, "accuracy"), point_key(1, "balanced accuracy (mean recall over classes)")],
        [INTERVALS],
    )
    if any(map(paper_row, shown)):
        keys += [point_key(0, "the paper's accuracy", True), point_key(1, "the paper's balanced accuracy", True)]
        notes.append("the paper's: on all of CompCars, with epochs chosen on the test photos")
    if changed := [run for run in shown if paper_row(run) and "(changed" in run.scores["strategy"]]:
        notes.append("*: settings differ from the paper's")
    heights = [len(group) + 1.5 for group in groups.values()]
    figure, axes = sheet(
        "Accuracy and balanced accuracy", shown, keys, (len(groups), 1), (7.2, 0.34 * rows / len(groups) + 0.8),
        "; ".join(notes), sharex=True, height_ratios=heights,
    )  # fmt: skip
    for panel, (one, group) in zip(axes.flat, groups.items(), strict=True):
        for row, run in enumerate(group):
            _both_scores(panel, row, run)
        panel.set_yticks(range(len(group)), [in_figure(called[run]) + " *" * (run in changed) for run in group])
        panel.set(title=panel_title(one, list(groups)), ylim=(len(group) - 0.4, -0.6))
        panel.grid(axis="x", alpha=0.3)
    axes[-1, 0].set_xlabel("score on the test photos")
    yield "", figure


def _both_scores(panel, row: int, run: Reported) -> None:
    paper = paper_row(run)
    for number, name in enumerate(BOTH):
        one, height = look(number), row + 0.16 * (2 * number - 1)
        if found := score(run, name):
            panel.errorbar(found.value, height, xerr=found.spread, fmt=one.marker, color=one.colour, ms=5, capsize=2)
        if paper and name in paper.scores:
            panel.plot(paper.scores[name], height, one.marker, mfc="white", mec=one.colour, ms=6, zorder=3)


def cross_entropy_and_focal(runs: list[Reported]) -> Iterator[tuple[str, Figure]]:
    """Draw Figure 5: one bar per run for backbones that were trained with both kinds of loss, by comparable group."""
    compared = {}
    for one, group in by_setting(runs).items():
        if pairs := _both_losses(group):
            compared[one] = pairs
    if not compared:
        raise LeftOut(
            "compares cross entropy with focal loss, but no backbone was trained with both on the same data and protocol"
        )
    shown = [run for pairs in compared.values() for group in pairs.values() for run in group]
    losses = list(dict.fromkeys(LOSSES[run.strategy.loss.name] for run in sorted(shown, key=_loss_order)))
    keys = [Patch(facecolor=one.colour, hatch=one.hatch, edgecolor="black", label=loss) for loss, one in _looks(losses)]
    most = max(map(len, compared.values()))
    figure, axes = sheet(
        "Cross entropy and focal loss", shown, keys, (1, len(compared)), (max(2.6, 1.2 * most + 1), 3.0),
        "one bar per run; error bars: 95 % intervals" + _other_differences(compared),
    )  # fmt: skip
    for panel, (one, pairs) in zip(axes.flat, compared.items(), strict=True):
        for place, group in enumerate(pairs.values()):
            _bars(panel, place, group)
        panel.set_xticks(range(len(pairs)), ["\n".join(key) for key in pairs])
        panel.set(ylabel=leading_name(one), title=panel_title(one, list(compared)), xlim=(-0.6, len(pairs) - 0.4))
        panel.grid(axis="y", alpha=0.3)
        panel.set_axisbelow(True)
    yield "", figure


def _both_losses(group: list[Reported]) -> dict[tuple[str, str], list[Reported]]:
    """Return (backbone, initialization) -> runs, if they have both kinds of loss; only defined scores."""
    found: dict[tuple[str, str], list[Reported]] = {}
    for run in group:
        if run.strategy.loss.name in LOSSES and main(run):
            found.setdefault((run.strategy.model.backbone, initialization(run)), []).append(run)
    kinds = {key: {LOSSES[run.strategy.loss.name] == "focal" for run in members} for key, members in found.items()}
    return {key: sorted(members, key=_loss_order) for key, members in found.items() if len(kinds[key]) == 2}


def _other_differences(compared: dict[Setting, dict[tuple[str, str], list[Reported]]]) -> str:
    """Return the end of a note with the settings, other than the loss, that differ within groups of bars."""
    groups = [group for pairs in compared.values() for group in pairs.values()]
    keys = [key for first, *others in groups for other in others for key in differences(first.strategy, other.strategy)]
    found = [key for key in dict.fromkeys(keys) if not key.startswith(("loss.", "about"))]
    more = ", ..." * (len(found) > NAMED)
    return f"; bars of a group differ also in {', '.join(found[:NAMED])}{more}" if found else ""


def _loss_order(run: Reported) -> int:
    return list(LOSSES).index(run.strategy.loss.name)


def _looks(losses: list[str]) -> list:
    return [(loss, look(LOSS_LOOKS[loss])) for loss in losses]


def _bars(panel, place: int, group: list[Reported]) -> None:
    width = 0.8 / len(group)
    for number, run in enumerate(group):
        one, found = look(LOSS_LOOKS[LOSSES[run.strategy.loss.name]]), defined(run)
        x = place - 0.4 + (number + 0.5) * width
        panel.bar(x, found.value, width, color=one.colour, hatch=one.hatch, edgecolor="black", lw=0.6)
        panel.errorbar(x, found.value, yerr=found.spread, color="black", capsize=3, lw=1)


def cost_and_score(runs: list[Reported]) -> Iterator[tuple[str, Figure]]:
    """Draw Figure 6: the main score against seconds per epoch; marker area shows parameters, colour and shape the initialization."""
    shown = [run for run in runs if main(run)]
    if not shown:
        raise LeftOut("shows the main score against its cost, but no run has a defined one")
    groups, called = by_setting(shown), names(shown)
    starts = [start for start in (*INITIALIZATIONS.values(), ANOTHER) if start in map(initialization, shown)]
    figure, axes = sheet(
        "Score against time per epoch", shown, [*map(_start_key, starts), *_size_keys(shown)],
        (-(-len(groups) // 2), min(2, len(groups))), (4.6, 3.4),
        "median seconds of the training steps of an epoch on the runs' machines; error bars: 95 % intervals",
    )  # fmt: skip
    for panel, (one, group) in zip(unused(axes, len(groups)), groups.items(), strict=True):
        for run in group:
            _costed(panel, run)
        _frame(panel, one, list(groups))
    figure.draw_without_rendering()  # Labels need the final positions of the panels.
    for panel, group in zip(axes.flat, groups.values(), strict=False):
        points = [(run.scores["cost"]["seconds_per_epoch"], defined(run).value) for run in group]
        diameters = [_diameter(_parameters(run)) for run in group]
        label_points(
            panel, points, [defined(run).spread for run in group], [in_figure(called[run]) for run in group], diameters
        )
    yield "", figure


def _costed(panel, run: Reported) -> None:
    one, found = _start_look(initialization(run)), defined(run)
    seconds, size = run.scores["cost"]["seconds_per_epoch"], _diameter(_parameters(run))
    panel.errorbar(
        seconds, found.value, yerr=found.spread, fmt=one.marker, ms=size, color=one.colour, mec="black", ecolor=GREY,
        elinewidth=1, alpha=0.85,
    )  # fmt: skip


def _frame(panel, one: Setting, every: list[Setting]) -> None:
    panel.set(xlabel="seconds per epoch", ylabel=leading_name(one), title=panel_title(one, every))
    panel.set_xlim(0, 1.35 * panel.dataLim.x1)  # From 0, so that random variation does not look like a difference.
    panel.margins(y=0.2)
    low, high = panel.get_ylim()
    panel.set_ylim(max(low, -0.02), min(high, 1.02))  # Scores are in [0, 1].
    panel.grid(alpha=0.3)


def _parameters(run: Reported) -> int:
    return run.scores["cost"]["parameters"]


def _diameter(parameters: float) -> float:
    """Return a marker's diameter in points, with an area proportional to the parameters and a minimum."""
    return float(np.hypot(5, 2.7 * np.sqrt(parameters / 1e6)))


def _start_look(start: str):
    return look([*INITIALIZATIONS.values(), ANOTHER].index(start))


def _start_key(start: str) -> Line2D:
    one = _start_look(start)
    return Line2D([], [], ls="", marker=one.marker, color=one.colour, mec="black", label=start)


def _size_keys(runs: list[Reported]) -> list[Line2D]:
    """Return hollow markers for the round sizes below the smallest and above the largest network."""
    least, most = min(map(_parameters, runs)), max(map(_parameters, runs))
    ends = (
        max((size for size in SIZES if size <= least), default=SIZES[0]),
        min((size for size in SIZES if size >= most), default=SIZES[-1]),
    )
    return [
        Line2D(
            [], [], ls="", marker="o", ms=_diameter(size), mfc="white", mec=GREY, label=f"{size / 1e6:g} M parameters"
        )
        for size in dict.fromkeys(ends)
    ]
