"""Figures of scores: ROC curves, distances of pairs, confusion matrices, grids of photos.

Functions return a matplotlib `Figure` without global state; render it with `figure.savefig` or `pixels`, all within
`in_own_style()`.
Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), distinguishable with any colour vision; each has its own
line style for greyscale prints. Legends are outside of the axes.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

import numpy as np
from matplotlib import rc_context, rcdefaults, rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from kcars.core.plain_text import in_figure, printable

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", (0, (6, 2)), (0, (2, 1.5)), "-.", (0, (6, 1.5, 1, 1.5, 1, 1.5)), (0, (1, 1)), (0, (9, 3)))
SAME, DIFFERENT = OKABE_ITO[0], OKABE_ITO[1]
INK, FAINT = "#333333", "#d9d9d9"
MOST_CELLS, MOST_NAMES = 16, 80  # Maximum number of classes with shares in cells; with names.
LISTED, LONGEST, SMALLEST_CELL = 20, 34, 0.045  # Listed confusions; letters of a name; inches.
PHOTO_INCHES = 1.25  # Height of a photo in a grid.
EXPLAINED_INCHES = 3.2  # Width of a photo with its heat map.


@contextlib.contextmanager
def in_own_style(settings: Mapping[str, object] | None = None) -> Iterator[None]:
    """Use matplotlib's defaults and these settings within the block.

    A `matplotlibrc` of the user or the current folder has no effect on figures, and cannot start LaTeX.
    """
    with rc_context():
        rcdefaults()
        rcParams.update(settings or {})  # pyright: ignore[reportCallIssue, reportArgumentType]  Names are checked at run time.
        yield


def roc_curves(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str = "", side_inches: float = 4.6
) -> Figure:
    """Draw ROC curves in one square.

    curves: label -> (false positive rates, true positive rates), of equal length, rising, 0 to 1.
    """
    figure = Figure(figsize=(side_inches, side_inches + 0.3 + 0.2 * len(curves)), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#767676", linewidth=0.8, linestyle=":", label="chance")
    for number, (name, (false_positives, true_positives)) in enumerate(curves.items()):
        axes.plot(false_positives, true_positives, label=name, linewidth=1.6, **_line(number))
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="false positive rate", ylabel="true positive rate")
    _plain(axes, title)
    figure.legend(loc="outside lower center", frameon=False, ncols=1)
    return figure


def distance_histograms(
    histograms: Mapping[str, np.ndarray], threshold: float | None = None, title: str = "", width_inches: float = 6.0
) -> Figure:
    """Draw histograms of the distances of same and different pairs, one panel per set of pairs.

    histograms: title of the panel -> (4, bins): left and right edges of the bins, numbers of same pairs, and of different
    pairs. Shares of each kind are shown, so that 50 same pairs compare with 5,000 different ones.
    threshold: distance up to which pairs are predicted same, a vertical line.
    """
    height, above = 0.9 + 0.55 * bool(title) + 1.4 * len(histograms), 0.25 + 0.3 * bool(title)
    figure = Figure(figsize=(width_inches, height))
    # Laid out in inches, because an automatic layout takes longer than the drawing.
    edges = {"left": 0.75 / width_inches, "right": 1 - 0.2 / width_inches, "top": 1 - above / height}
    place = {**edges, "bottom": 0.85 / height, "hspace": 0.45}
    panels = figure.subplots(len(histograms), sharex=True, squeeze=False, gridspec_kw=place)[:, 0]
    for axes, (name, (left, right, same, different)) in zip(panels, histograms.items(), strict=True):
        edges = np.append(left, right[-1])
        for kind, counts, colour, style in (("same", same, SAME, "-"), ("different", different, DIFFERENT, "--")):
            shares = counts / max(counts.sum(), 1)
            axes.stairs(shares, edges, fill=True, alpha=0.25, linewidth=0, color=colour)
            axes.stairs(shares, edges, color=colour, linestyle=style, linewidth=1.4, label=f"{kind} pairs")
        if threshold is not None:
            axes.axvline(threshold, color=INK, linewidth=1, linestyle=":", label="threshold")
        axes.set(ylabel="share of pairs", xlim=(edges[0], edges[-1]), ylim=(0, None))
        _plain(axes, name)
    panels[-1].set_xlabel("distance")
    if title:
        figure.text(0.5, 1 - 0.08 / height, title, ha="center", va="top", fontsize="medium")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="lower center", frameon=False, ncols=3)
    return figure


def confusion_matrix(
    confusion: np.ndarray, names: Sequence[str], groups: Sequence[str] | None = None, title: str = ""
) -> Figure:
    """Draw a confusion matrix (classes, classes), row = label, column = prediction, as shares of each row.

    names: of the classes; groups: of each class, with equal ones adjacent (the make of each model), which label the axes if
    there are too many classes for names. A class without photos is a grey row. Few classes have their share in each cell;
    many classes have a list of the most common confusions.
    """
    confusion, classes = np.asarray(confusion), len(names)
    photos = confusion.sum(axis=1, keepdims=True)
    shares = np.where(photos > 0, confusion / np.maximum(photos, 1), np.nan)
    side, few = float(np.clip(0.3 * classes, 3.2, 8.6)), classes <= MOST_CELLS
    places, shown, size = _class_ticks(names, groups, 72 * side / classes)
    margin = 0.45 + 0.6 * size / 72 * max(map(len, shown), default=0)
    width, height = margin + side + (1.1 if few else 4.4), margin + side + 0.4
    figure = Figure(
        figsize=(width, height)
    )  # Laid out in inches, because automatic layouts take seconds for many names.
    axes = figure.add_axes((margin / width, margin / height, side / width, side / height))
    cells = _paint_cells(axes, shares, side)
    axes.set_xticks(places, shown, rotation=90, fontsize=size)
    axes.set_yticks(places, shown, fontsize=size)
    axes.set_title(title, fontsize="medium", loc="left")
    figure.text((margin + side / 2) / width, 0.08 / height, "predicted", ha="center")
    figure.text(0.08 / width, (margin + side / 2) / height, "label", va="center", rotation=90)
    _scale(figure, cells, ((margin + side + 0.15) / width, margin / height, 0.14 / width, side / height))
    if few:
        _write_shares(axes, shares)
    else:
        _list_confusions(axes, 1 + 1.0 / side, confusion, names)
    return figure


def photo_grid(photos: np.ndarray, captions: Sequence[str], columns: int, title: str = "") -> Figure:
    """Draw photos (n, height, width, 3) uint8 row by row, each with a caption of up to two lines below."""
    count, height, width = photos.shape[:3]
    rows, wide = -(-count // columns), PHOTO_INCHES * width / height
    letters = int(wide / (0.6 * 7 / 72))
    lines = ["\n".join(wrap(printable(caption), letters, max_lines=2, placeholder="\u2026")) for caption in captions]
    step_x, top = wide + 0.08, 0.3 if title else 0.08
    step_y = PHOTO_INCHES + (0.36 if any("\n" in caption for caption in lines) else 0.24)
    size = columns * step_x + 0.08, rows * step_y + top
    figure = Figure(figsize=size)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, size[0]), ylim=(size[1], 0))  # Inches, from the upper left.
    axes.set_axis_off()
    if title:
        axes.text(0.08, 0.08, in_figure(title), va="top", fontsize="medium", color=INK)
    for place, (photo, caption) in enumerate(zip(photos, lines, strict=True)):
        left, upper = 0.08 + place % columns * step_x, top + place // columns * step_y
        axes.imshow(photo, extent=(left, left + wide, upper + PHOTO_INCHES, upper), aspect="auto")
        axes.text(
            left + wide / 2,
            upper + PHOTO_INCHES,
            caption,
            ha="center",
            va="top",
            fontsize=7,
            color=INK,
            parse_math=False,
        )
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
    return figure


def explained(
    photos: Sequence[tuple[str, np.ndarray, np.ndarray]], scale: np.ndarray, title: str, caption: str
) -> Figure:
    """Draw each photo above its copy with the heat map, or for a single photo next to it.

    photos: name, photo and overlaid photo (h, w, 3) uint8 of each; scale: (1, n, 3) uint8, colours from least to most heat;
    title: the prediction; caption: meaning of the heat.
    """
    title = printable(title)
    pictures = [[photo for _, photo, _ in photos], [hot for _, _, hot in photos]]
    pictures = pictures if len(photos) > 1 else [[*pictures[0], *pictures[1]]]
    shape = max((photo.shape[0] / photo.shape[1] for _, photo, _ in photos), default=1.0)
    wide, gap, above, below = EXPLAINED_INCHES, 0.12, 0.45 + 0.24 * len(wrap(title, 52)), 0.62
    high = min(wide * shape, 1.4 * wide)
    width, height = 2 * wide + 3 * gap, len(pictures) * (high + gap) + above + below
    figure = Figure(figsize=(width, height))
    for row, line in enumerate(pictures):
        for column, picture in enumerate(line):
            left, upper = gap + column * (wide + gap), above + row * (high + gap)
            axes = figure.add_axes((left / width, 1 - (upper + high) / height, wide / width, high / height))
            axes.imshow(picture)
            axes.set_axis_off()
    figure.text(
        gap / width, 1 - 0.1 / height, "\n".join(wrap(title, 52)), va="top", fontsize=13, color=INK, parse_math=False
    )
    figure.text(gap / width, 1 - (above - 0.12) / height, in_figure(caption), va="bottom", fontsize=9.5, color=INK)
    for column, (name, _, _) in enumerate(photos):
        left = gap + column * (wide + gap)
        figure.text(left / width, (below - 0.02) / height, _short(name), va="top", fontsize=8.5, color=INK)
    bar = figure.add_axes(((width - gap - 2.0) / width, 0.14 / height, 1.5 / width, 0.14 / height))
    bar.imshow(scale, aspect="auto", extent=(0, 1, 0, 1))
    bar.set_axis_off()
    bar.text(-0.04, 0.45, "little", ha="right", va="center", fontsize=8.5, color=INK)
    bar.text(1.04, 0.45, "most", ha="left", va="center", fontsize=8.5, color=INK)
    return figure


def pixels(figure: Figure, dpi: float = 100) -> np.ndarray:
    """Render the figure as (height, width, 3) uint8."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _line(number: int) -> dict:
    return {"color": OKABE_ITO[number % len(OKABE_ITO)], "linestyle": LINES[number % len(LINES)]}


def _plain(axes, title: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(title, fontsize="medium", loc="left")


def _class_ticks(names: Sequence[str], groups: Sequence[str] | None, points: float) -> tuple:
    """Return (positions, names, font size) of ticks: classes, `points` high each, groups with enough space, or numbers."""
    if len(names) <= MOST_NAMES:
        return range(len(names)), [_short(name) for name in names], min(9.0, 0.85 * points)
    if groups is None:
        places = range(0, len(names), max(1, len(names) // 10))
        return places, [str(place) for place in places], 8.0
    starts = [0, *(1 + np.flatnonzero(np.array(groups[1:]) != np.array(groups[:-1]))), len(names)]
    spans = [(a, b) for a, b in zip(starts[:-1], starts[1:], strict=True) if (b - a) * points >= 7]
    return [(a + b - 1) / 2 for a, b in spans], [_short(groups[int(a)]) for a, _ in spans], 6.5


def _short(name: str) -> str:
    name = printable(name)
    return in_figure(name if len(name) <= LONGEST else name[: LONGEST - 1] + "\u2026")


def _paint_cells(axes, shares: np.ndarray, side: float):
    """Paint the cells; cells too small to be visible are drawn as dots."""
    classes = len(shares)
    look = {"cmap": "Blues", "norm": PowerNorm(0.5, 0, 1)}  # A square root scale makes one photo in a hundred visible.
    axes.set_facecolor(FAINT)
    if side / classes > SMALLEST_CELL:
        return axes.imshow(shares, interpolation="nearest", **look)
    axes.imshow(np.where(np.isnan(shares), np.nan, 0), interpolation="nearest", **look)
    row, column = np.nonzero(np.nan_to_num(shares))
    return axes.scatter(
        column, row, c=shares[row, column], s=(72 * SMALLEST_CELL) ** 2, marker="s", linewidths=0, **look
    )


def _scale(figure: Figure, cells, place: tuple) -> None:
    axes = figure.add_axes(place)
    figure.colorbar(cells, cax=axes, ticks=[0, 0.01, 0.1, 0.25, 0.5, 1])
    axes.set_ylabel("share of the label's photos", fontsize=8)
    axes.tick_params(labelsize=8)


def _write_shares(axes, shares: np.ndarray) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if share > 0:
            colour = "white" if share > 0.3 else INK
            axes.text(column, row, f"{share:.2f}", ha="center", va="center", color=colour, fontsize=7)


def _list_confusions(axes, left: float, confusion: np.ndarray, names: Sequence[str]) -> None:
    """List the most common confusions, most photos first, to the right of the axes from `left` (in axes widths)."""
    wrong = confusion - np.diag(np.diagonal(confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:LISTED]
    lines = [
        f"{wrong[row, column]} of {confusion[row].sum()}  {_short(names[int(row)])}\n            as {_short(names[int(column)])}"
        for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[row, column]
    ]
    text = "\n".join(["Most common confusions", "", *(lines or ["none"])])
    axes.text(left, 1, text, va="top", fontsize=8, linespacing=1.25, color=INK, transform=axes.transAxes)
