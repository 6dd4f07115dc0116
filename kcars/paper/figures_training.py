"""Figures 2 and 4: class distributions and loss curves of runs."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from kcars.core.plain_text import in_figure
from kcars.paper.figures_runs import LeftOut, Setting, by_setting, names, panel_title
from kcars.paper.figures_style import GREY, line_key, look, sheet, unused
from kcars.report.charts import spread
from kcars.report.read import Reported, numbers

MANY = 150  # From this number of classes on, bars and points are small.


def class_distribution(runs: list[Reported]) -> Iterator[tuple[str, Figure]]:
    """Draw Figure 2: training and test photos per class, with panels for makes and models if both are given.

    Runs on the same data and target share a panel.
    """
    panels: dict[Setting, Reported] = {}
    for one, group in by_setting([run for run in runs if run.classes]).items():
        if not any((one.target, one.data) == (other.target, other.data) for other in panels):
            panels[one] = group[0]
    if not panels:
        raise LeftOut("shows the classes of classification runs, but none is given")
    keys = [
        Patch(facecolor=look(4).colour, edgecolor=look(0).colour, label="training photos (without validation)"),
        Line2D([], [], ls="", marker="o", ms=4, color="black", label="test photos"),
    ]
    shown = list(panels.values())
    figure, axes = sheet(
        "Photos per class, largest first", shown, keys, (1, len(panels)), (4.6, 3.0),
        "logarithmic scale if sizes differ more than tenfold; classes without test photos have no point",
    )  # fmt: skip
    for panel, (one, run) in zip(axes.flat, panels.items(), strict=True):
        _distribution(panel, numbers(run.classes["training_photos"]), numbers(run.classes["test_photos"]))
        panel.set_title(f"{panel_title(one, list(panels))}\n{panel.get_title()}")
        panel.set(xlabel=f"{one.target}s, sorted by training photos", ylabel="photos")
    yield "", figure


def _distribution(panel, learned: np.ndarray, tested: np.ndarray) -> None:
    order = np.lexsort((-tested, -learned))
    learned, tested = learned[order], tested[order]
    place = np.arange(1, len(learned) + 1)
    panel.bar(
        place, learned, width=1.0, color=look(4).colour, edgecolor=look(0).colour, lw=0.3 if len(place) < MANY else 0
    )
    seen = tested > 0
    panel.plot(place[seen], tested[seen], "o", color="black", ms=3 if len(place) < MANY else 1.2)
    least, most = max(1, learned.min()), learned.max()
    if spread([*learned, *tested[seen]]):
        panel.set_yscale("log")
        panel.set_ylim(0.7, 1.4 * max(most, tested.max()))
    panel.yaxis.set_major_formatter("{x:.0f}")
    panel.set_xlim(0.3, len(learned) + 0.7)
    panel.set_title(f"{len(learned)} classes, {least:.0f} to {most:.0f} training photos (ratio {most / least:.1f})")


def loss_curves(runs: list[Reported]) -> Iterator[tuple[str, Figure]]:
    """Draw Figure 4: one panel per run with a validation loss."""
    shown = [run for run in runs if np.isfinite(run.history.get("val_loss", np.nan)).any()]
    if not shown:
        raise LeftOut("shows training and validation loss, but no run has a val_loss (ArcFace and folds have none)")
    keys = [
        line_key(0, "training loss"),
        line_key(1, "validation loss"),
        Line2D(
            [],
            [],
            color=GREY,
            ls=":",
            marker="*",
            ms=9,
            mfc="black",
            mec="black",
            label="epoch of the checkpoint" + " (best validation score)" * (not any(map(_keeps_last, shown))),
        ),
    ]
    called, columns = names(shown), min(3, len(shown))
    figure, axes = sheet(
        "Training and validation loss", shown, keys, (-(-len(shown) // columns), columns), (3.3, 2.5),
        "training loss is averaged during the epoch, on augmented photos and with dropout, so it may be higher",
    )  # fmt: skip
    for panel, run in zip(unused(axes, len(shown)), shown, strict=True):
        _losses(panel, run)
        panel.set_title(f"{in_figure(called[run])}\n{run.strategy.model.backbone}, {run.strategy.target}s")
    yield "", figure


def _keeps_last(run: Reported) -> bool:
    return run.scores["kept"] == "last"


def _losses(panel, run: Reported) -> None:
    epochs, best = run.history["epoch"], run.scores["best_epoch"]
    few = 3 if len(epochs) < 12 else 0  # Show the points of short runs.
    for number, column in enumerate(("loss", "val_loss")):
        one = look(number)
        panel.plot(epochs, run.history[column], color=one.colour, ls=one.line, marker=one.marker, ms=few)
    chosen = run.history["val_loss"][epochs == best]
    panel.axvline(best, color=GREY, ls=":", lw=1)
    panel.plot(np.full(len(chosen), best), chosen, "*", color="black", ms=9, zorder=3)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.set(
        xlabel=f"epoch (checkpoint: {best}{', the last' * _keeps_last(run)})",
        ylabel=f"loss ({run.strategy.loss.name.replace('_', ' ')})",
    )
    panel.grid(alpha=0.3)
