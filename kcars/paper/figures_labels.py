"""Places labels next to points without overlaps."""

from matplotlib.text import Text
from matplotlib.transforms import Bbox

from kcars.paper.figures_style import GREY


def label_points(
    axes, points: list[tuple[float, float]], spreads: list, texts: list[str], diameters: list[float]
) -> None:
    """Place each text next to its point (data coordinates), if possible without covering markers, texts and the frame.

    spreads: extents of the vertical error bars, [[down], [up]]; diameters: of the markers, in typographic points. The
    figure must have its final layout.
    """
    taken = [
        part
        for point, spread, diameter in zip(points, spreads, diameters, strict=True)
        for part in _drawn(axes, point, spread, diameter)
    ]
    for point, text, diameter in zip(points, texts, diameters, strict=True):
        best = min(_candidates(axes, point, text, diameter / 2 + 3), key=lambda note: _cost(note, taken, axes))
        for note in list(axes.texts):
            if note.get_gid() == "candidate" and note is not best:
                note.remove()
        best.set_gid(None)
        taken.append(Text.get_window_extent(best))


def _candidates(axes, point, text: str, gap: float) -> list:
    """Return the text right, left, above and below a point, and at its corners, near and farther, with a line to it."""
    positions = [((x, y), 1, None) for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    leader = {"arrowstyle": "-", "lw": 0.5, "color": GREY, "shrinkA": 0, "shrinkB": 0}
    positions += [((x, y), far, leader) for far in (1, 2) for x in (1, -1) for y in (1, -1)]
    across, along = {1: "left", 0: "center", -1: "right"}, {1: "bottom", 0: "center", -1: "top"}
    notes = [
        axes.annotate(
            text, point, xytext=(x * far * gap, y * far * gap), textcoords="offset points", fontsize=7, ha=across[x],
            va=along[y], gid="candidate", arrowprops=line,
        )
        for (x, y), far, line in positions
    ]  # fmt: skip
    for note in notes:
        note.set_in_layout(False)
        note.get_window_extent()  # Applies the text's offset.
    return notes


def _cost(note, taken: list[Bbox], axes) -> float:
    """Return the overlapped area, with a higher weight outside of the frame."""
    box = Text.get_window_extent(note).padded(3)  # The text without its line.
    inside = Bbox.intersection(box, axes.get_window_extent())
    outside = box.width * box.height - (inside.width * inside.height if inside else 0)
    covered = sum(common.width * common.height for other in taken if (common := Bbox.intersection(box, other)))
    return covered + 10 * outside


def _drawn(axes, point, spread, diameter: float) -> list[Bbox]:
    """Return the boxes of a point's marker and error bar, in pixels."""
    x, y = axes.transData.transform(point)
    (down,), (up,) = spread
    low, high = (axes.transData.transform((point[0], point[1] + step))[1] for step in (-down, up))
    half = diameter * axes.get_figure(root=True).dpi / 144
    return [Bbox.from_extents(x - half, y - half, x + half, y + half), Bbox.from_extents(x - 1, low, x + 1, high)]
