"""Style of the figures: series with distinct colours, shapes and hatches; legend and footer in a separate strip."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kcars.core.files import written_whole
from kcars.core.plain_text import in_figure
from kcars.paper.figures_runs import facts_line
from kcars.report.read import Reported
from kcars.training.tensorboard.drawings import in_own_style

GREY = "#555555"
KEY_INCHES, NOTE_INCHES = 0.21, 0.14  # Height of a line of the legend, of the footer.
FORMATS = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
# No dates or random ids; type 42 keeps text as text in PDF.
SETTINGS = {"svg.hashsalt": "kcars", "pdf.fonttype": 42, "font.size": 9, "axes.titlesize": 9.5, "hatch.linewidth": 0.6}


@dataclass(frozen=True)
class Look:
    """Style of a series. Colours are Okabe and Ito's, ordered so that neighbours also differ in greyscale."""

    colour: str
    marker: str
    line: str | tuple[int, tuple[int, ...]]
    hatch: str


LOOKS = (
    Look("#0072B2", "o", "-", ""),
    Look("#E69F00", "s", "--", "////"),
    Look("#009E73", "^", "-.", "...."),
    Look("#000000", "D", ":", "xx"),
    Look("#56B4E9", "v", (0, (5, 1, 1, 1, 1, 1)), "\\\\\\\\"),
    Look("#D55E00", "P", (0, (1, 1)), "++"),
)


def look(number: int) -> Look:
    return LOOKS[number % len(LOOKS)]


def in_style():
    """Apply a style with which figures made and written inside the block are reproducible to the byte."""
    return in_own_style(SETTINGS)


def sheet(
    title: str, runs: Sequence[Reported], keys: Sequence, shape: tuple[int, int], panel: tuple[float, float], note="",
    **subplots,
) -> tuple[Figure, np.ndarray]:  # fmt: skip
    """Return a figure and its panels (rows, columns), with a legend, a note and the runs' facts below.

    keys: legend handles; panel: width and height of one in inches; subplots: of `Figure.subplots`.
    """
    rows, columns = shape
    width, height = max(5.6, columns * panel[0]), rows * panel[1] + 0.4
    across = _across(keys, width)
    foot = (-(-len(keys) // across)) * KEY_INCHES + (1 + bool(note)) * NOTE_INCHES + 0.12
    figure = Figure(figsize=(width, height + foot), layout="constrained")
    body, strip = figure.subfigures(2, 1, height_ratios=[height, foot])  # pyright: ignore[reportGeneralTypeIssues]  An array of two.
    body.suptitle(in_figure(title), fontsize=11, fontweight="bold")
    axes = body.subplots(rows, columns, squeeze=False, **subplots)
    if keys:
        strip.legend(handles=list(keys), loc="upper center", ncols=across, frameon=False, borderpad=0)
    footer = "\n".join(map(in_figure, filter(None, [*note.split("\n"), facts_line(runs)])))
    strip.text(0.01, 0.04, footer, fontsize=6.5, color=GREY, va="bottom", linespacing=1.4)
    return figure, axes


def _across(keys: Sequence, width: float) -> int:
    """Return the number of legend columns that fit the width in inches."""
    inches = [0.062 * len(key.get_label()) + 0.6 for key in keys]
    if sum(inches) <= width:
        return max(1, len(keys))
    return max(1, int(width / max(inches)))


def point_key(number: int, label: str, hollow: bool = False) -> Line2D:
    one = look(number)
    return Line2D(
        [], [], color=one.colour, marker=one.marker, ls="", mfc="white" if hollow else one.colour, label=label
    )


def line_key(number: int, label: str) -> Line2D:
    return Line2D([], [], color=look(number).colour, ls=look(number).line, label=label)


def legend_below(axes, columns: int = 1) -> None:
    """Add a panel's legend below its axis label."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=columns, frameon=False, fontsize=8)


def unused(axes: np.ndarray, count: int):
    """Return the first `count` panels; remove the others."""
    for spare in axes.flat[count:]:
        spare.remove()
    return axes.flat[:count]


def write(figure: Figure, stem: Path) -> list[Path]:
    """Write the figure as SVG, PDF and PNG, each atomically."""
    files = []
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # Do not repeat the layout for every format.
    for kind, metadata in FORMATS.items():
        file = stem.with_name(f"{stem.name}.{kind}")
        with written_whole(file, "wb") as handle:
            figure.savefig(handle, format=kind, dpi=160, metadata=metadata)
        files.append(file)
    return files
