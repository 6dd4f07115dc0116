"""Figures 7 and 8: ROC curves and distances of a verification run's pairs."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from kcars.core.errors import KcarsError
from kcars.metrics import scores
from kcars.paper.figures_runs import LeftOut, names, setting
from kcars.paper.figures_style import GREY, legend_below, look, sheet
from kcars.posthoc.decision import PairDecision
from kcars.report.read import Reported, numbers
from kcars.settings import DIFFICULTIES

ROC = "roc.csv"
CURVES, BINS = 4, 40
Curve = tuple[np.ndarray, np.ndarray, float]  # False positive rates, true positive rates, area under the curve.


def roc_curves(runs: list[Reported]) -> Iterator[tuple[str, Figure]]:
    """Draw Figure 7 for each run: ROC curves of validation pairs by epoch, if it has roc.csv, and of test pairs by difficulty."""
    for run, suffix in _verification(runs):
        epochs = _epoch_curves(run)
        figure, axes = sheet(
            f"ROC curves: {run.name}", [run], [], (1, 1 + bool(epochs)), (3.9, 4.9),
            "" if epochs else f"no panel by epoch: the run has no {ROC}",
        )  # fmt: skip
        if epochs:
            deciding = setting(run).split
            _curves(axes[0, 0], f"validation, {deciding} pairs, by epoch", epochs)
        _curves(axes[0, -1], "test pairs by difficulty", _test_curves(run))
        yield suffix, figure


def _verification(runs: list[Reported]) -> Iterator[tuple[Reported, str]]:
    """Yield runs with pairs, and the ends of their figures' file names, empty for a single run."""
    shown = [run for run in runs if run.pairs]
    if not shown:
        raise LeftOut("shows pairs of verification runs, but none is given")
    called = names(shown)
    for run in shown:
        yield run, f"-{called[run].replace('/', '-')}" if len(shown) > 1 else ""


def _epoch_curves(run: Reported) -> dict[str, Curve]:
    """Return label -> validation curve of the monitored difficulty for a few epochs; empty without roc.csv."""
    split, best = setting(run).split, run.scores["best_epoch"]
    try:
        table = run.table(ROC)
        if not table:
            return {}
        rates = np.array([float(name) for name in list(table)[2:]])
        rows = np.array(table["difficulty"]) == split
        accepted = np.stack([numbers(column) for column in list(table.values())[2:]], axis=1)[rows]
        curves = dict(zip(numbers(table["epoch"])[rows].astype(int).tolist(), accepted, strict=True))
    except (KeyError, ValueError, IndexError) as error:
        raise KcarsError(f"{run.folder / ROC}: is damaged ({error}); delete it to draw the figure without it") from None
    areas = dict(zip(run.history["epoch"].tolist(), run.history.get(f"val_{split}_roc_auc", ()), strict=False))
    return {
        f"epoch {epoch}{' (checkpoint)' if epoch == best else ''}": (
            rates,
            curves[epoch],
            areas.get(epoch, np.trapezoid(curves[epoch], rates)),
        )
        for epoch in _spread_epochs(list(curves), best)
    }


def _spread_epochs(epochs: list[int], best: int) -> list[int]:
    """Return the first, best and last epoch, and one in the longer gap between them."""
    if len(epochs) <= CURVES:
        return epochs
    ends = [epochs[0], best, epochs[-1]] if best in epochs else [epochs[0], epochs[-1]]
    before, after = max(zip(ends[:-1], ends[1:], strict=True), key=lambda pair: pair[1] - pair[0])
    between = min(epochs, key=lambda epoch: abs(epoch - (before + after) / 2))
    return sorted({*ends, between})


def _test_curves(run: Reported) -> dict[str, Curve]:
    found = {}
    for name, same, distance in _by_difficulty(run):
        false, true, _ = scores.roc_curve(same, -distance)
        found[name] = false, true, scores.roc_auc(same, -distance)
    return found


def _by_difficulty(run: Reported) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield (difficulty, same, distance) of the test pairs with both kinds of pairs."""
    kind = np.array(run.pairs["difficulty"])
    same, distance = numbers(run.pairs["same"]).astype(int), numbers(run.pairs["distance"])
    for name in sorted(set(kind), key=lambda name: (DIFFICULTIES.index(name) if name in DIFFICULTIES else 9, name)):
        rows = kind == name
        if len(np.unique(same[rows])) == 2:
            yield name, same[rows], distance[rows]


def _curves(panel, title: str, curves: dict[str, Curve]) -> None:
    for number, (name, (false, true, area)) in enumerate(curves.items()):
        panel.plot(false, true, color=look(number).colour, ls=look(number).line, label=f"{name}, ROC-AUC {area:.3f}")
    panel.plot([0, 1], [0, 1], color=GREY, ls=(0, (2, 2)), lw=0.8, label="chance, ROC-AUC 0.5")
    panel.set(
        xlabel="false positive rate",
        ylabel="true positive rate",
        title=title,
        xlim=(0, 1),
        ylim=(0, 1),
    )
    panel.set_aspect("equal")
    panel.grid(alpha=0.3)
    legend_below(panel)


def distance_histograms(runs: list[Reported]) -> Iterator[tuple[str, Figure]]:
    """Draw Figure 8 for each run: distances of same and different test pairs by difficulty, with the threshold."""
    keys = [
        Patch(facecolor=look(0).colour, edgecolor="black", alpha=0.75, label="same"),
        Patch(facecolor="none", edgecolor=look(1).colour, hatch=look(1).hatch, label="different"),
        Line2D([], [], color="black", ls="--", label="threshold: smaller distances are predicted same"),
    ]
    for run, suffix in _verification(runs):
        parts = list(_by_difficulty(run))
        figure, axes = sheet(
            f"Distances of test pairs: {run.name}", [run], keys, (1, len(parts)), (2.9, 2.6), sharex=True, sharey=True
        )
        edges = np.linspace(0, max(distance.max() for _, _, distance in parts), BINS + 1)
        for panel, (name, same, distance) in zip(axes.flat, parts, strict=True):
            _histogram(panel, same, distance, edges, PairDecision.of(run.scores["decision"]).threshold)
            panel.set(title=f"{name} pairs ({len(same):,})", xlabel="distance")
        axes[0, 0].set_ylabel("share of pairs")
        yield suffix, figure


def _histogram(panel, same: np.ndarray, distance: np.ndarray, edges: np.ndarray, threshold: float) -> None:
    looks = {1: {"color": look(0).colour, "alpha": 0.75, "edgecolor": "black", "lw": 0.3}}
    looks[0] = {"histtype": "step", "edgecolor": look(1).colour, "hatch": look(1).hatch, "lw": 1.4}
    for kind, how in looks.items():
        values = distance[same == kind]
        panel.hist(values, edges, weights=np.full(len(values), 1 / len(values)), **how)
    panel.axvline(threshold, color="black", ls="--", lw=1.2)
