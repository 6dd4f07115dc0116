"""Figures 2 and 4: what runs learned from, and how their losses fell."""

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

MANY = 150  # Classes whose bars and points are drawn finely.


def class_distribution(runs: list[Reported]) -> Iterator[tuple[str, Figure]]:
    """Figure 2: photos of every class, to learn from and to test on; makes and models side by side where both are given.

    Runs on the same data and target share a panel.
    """
    panels: dict[Setting, Reported] = {}
    for one, group in by_setting([run for run in runs if run.classes]).items():
        if not any((one.target, one.data) == (other.target, other.data) for other in panels):
            panels[one] = group[0]
    if not panels:
        raise LeftOut("shows the classes of classification runs, and none is given")
    keys = [
        Patch(
            facecolor=look(4).colour, edgecolor=look(0).colour, label="learned from (without the photos that validate)"
        ),
        Line2D([], [], ls="", marker="o", ms=4, color="black", label="tested on"),
    ]
    shown = list(panels.values())
    figure, axes = sheet(
        "Photos of each class, the largest class first", shown, keys, (1, len(panels)), (4.6, 3.0),
        "a logarithmic scale where sizes differ more than tenfold; a class without a test photo has no point",
    )  # fmt: skip
    for panel, (one, run) in zip(axes.flat, panels.items(), strict=True):
        _distribution(panel, numbers(run.classes["training_photos"]), numbers(run.classes["test_photos"]))
        panel.set_title(f"{panel_title(one, list(panels))}\n{panel.get_title()}")
        panel.set(xlabel=f"{one.target}s, sorted by the photos learned from", ylabel="photos")
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
    panel.set_title(
        f"{len(learned)} classes, {least:.0f} to {most:.0f} photos to learn from (ratio {most / least:.1f})"
    )


def loss_curves(runs: list[Reported]) -> Iterator[tuple[str, Figure]]:
    """Figure 4: a panel a run that has a validation loss."""
    shown = [run for run in runs if np.isfinite(run.history.get("val_loss", np.nan)).any()]
    if not shown:
        raise LeftOut(
            "shows training beside validation loss, and no given run has a val_loss (ArcFace and folds have none)"
        )
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
            label="epoch that was kept" + " (best validation score)" * (not any(map(_keeps_last, shown))),
        ),
    ]
    called, columns = names(shown), min(3, len(shown))
    figure, axes = sheet(
        "Training and validation loss", shown, keys, (-(-len(shown) // columns), columns), (3.3, 2.5),
        "training loss is taken while the epoch runs, on augmented photos and with dropout: it may stand above",
    )  # fmt: skip
    for panel, run in zip(unused(axes, len(shown)), shown, strict=True):
        _losses(panel, run)
        panel.set_title(f"{in_figure(called[run])}\n{run.strategy.model.backbone}, {run.strategy.target}s")
    yield "", figure


def _keeps_last(run: Reported) -> bool:
    return run.scores["kept"] == "last"


def _losses(panel, run: Reported) -> None:
    epochs, best = run.history["epoch"], run.scores["best_epoch"]
    few = 3 if len(epochs) < 12 else 0  # Points of a short run are seen as such.
    for number, column in enumerate(("loss", "val_loss")):
        one = look(number)
        panel.plot(epochs, run.history[column], color=one.colour, ls=one.line, marker=one.marker, ms=few)
    chosen = run.history["val_loss"][epochs == best]
    panel.axvline(best, color=GREY, ls=":", lw=1)
    panel.plot(np.full(len(chosen), best), chosen, "*", color="black", ms=9, zorder=3)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.set(
        xlabel=f"epoch (kept: {best}{', the last' * _keeps_last(run)})",
        ylabel=f"loss ({run.strategy.loss.name.replace('_', ' ')})",
    )
    panel.grid(alpha=0.3)
