"""The loss curve of a learning-rate range test: smoothing, suggestion, drawing."""

from dataclasses import dataclass
from textwrap import wrap

import numpy as np
from matplotlib.figure import Figure

from kcars.training.tensorboard.drawings import FAINT, INK, OKABE_ITO

WIDTH, FEWEST_WIDE = 1 / 25, 2  # Standard deviation of the smoothing kernel: share of the steps, minimum in steps.
BEYOND = 4.0  # The test ends at this multiple of the smallest loss, as in fast.ai's finder.


@dataclass(frozen=True)
class RateCurve:
    """A range test. rates, losses: (n,) float64, one per step; steps: planned number, n or more."""

    rates: np.ndarray
    losses: np.ndarray
    steps: int

    @property
    def smoothed(self) -> np.ndarray:
        return smooth(self.losses, self.steps)


@dataclass(frozen=True)
class Suggestion:
    """Rates at the steepest fall of the loss, at its minimum, and a tenth of the latter."""

    steepest: float
    minimum: float
    tenth: float

    @property
    def rate(self) -> float:
        """The higher of steepest fall and a tenth of the minimum, because noise can put the steepest fall too early."""
        return max(self.steepest, self.tenth)


def smooth(losses: np.ndarray, steps: int) -> np.ndarray:
    """Smooth losses (n,) with a Gaussian kernel over the steps before and after.

    The usual moving average of past steps lags, and would suggest rates twice too high.
    """
    place, width = np.arange(len(losses)), max(WIDTH * steps, FEWEST_WIDE)
    weights = np.exp(-0.5 * ((place[:, None] - place) / width) ** 2)
    return weights @ losses / weights.sum(1)


def is_over(curve: RateCurve) -> bool:
    """Return whether the smoothed loss exceeds four times its minimum."""
    smoothed = curve.smoothed
    return bool(smoothed[-1] > BEYOND * smoothed.min())


def suggest(curve: RateCurve) -> Suggestion | None:
    """Return the suggestion from the smoothed loss before its minimum; None if it has not fallen.

    Smith 2015, arXiv 1506.01186, section 3.3; slopes are with respect to the logarithm of the rate.
    """
    smoothed = curve.smoothed
    lowest = int(smoothed.argmin())
    if lowest == 0:
        return None
    slope = np.gradient(smoothed[: lowest + 1], np.log(curve.rates[: lowest + 1]))
    minimum = float(curve.rates[lowest])
    return Suggestion(float(curve.rates[slope.argmin()]), minimum, minimum / 10)


def draw(curve: RateCurve, found: Suggestion | None, title: str) -> Figure:
    """Draw loss against rate, raw and smoothed, with the suggested rates marked."""
    smoothed = curve.smoothed
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(curve.rates, curve.losses, ".", color="#8a8a8a", markersize=4, label="loss of each step")
    axes.plot(curve.rates, smoothed, color=OKABE_ITO[0], linewidth=2, label="smoothed")
    axes.set_xscale("log")
    axes.set_xlim(curve.rates[0], curve.rates[-1])
    low, high = smoothed.min(), smoothed.max()
    room = 0.12 * (high - low) or 0.1 * abs(high) or 1.0
    axes.set_ylim(low - room, high + room)  # Outliers beyond it would flatten the curve.
    axes.set(xlabel="learning rate", ylabel="training loss")
    axes.set_title("\n".join(wrap(title, 90)), fontsize=10, color=INK)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if found:
        _mark(axes, curve, found)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def _mark(axes, curve: RateCurve, found: Suggestion) -> None:
    marks = {
        "steepest fall": (found.steepest, OKABE_ITO[1], "v"),
        "a tenth of the rate of the minimum": (found.tenth, OKABE_ITO[2], "s"),
        "minimum": (found.minimum, OKABE_ITO[6], "o"),
    }
    for name, (rate, colour, marker) in marks.items():
        height = np.interp(np.log(rate), np.log(curve.rates), curve.smoothed)
        label = f"{name}: {rate:.2g}" + (", suggested" if rate == found.rate else "")
        if rate >= curve.rates[0]:  # A tenth of the minimum may be below the tested rates.
            axes.plot(rate, height, marker, color=colour, markersize=8, markeredgecolor="white", label=label, zorder=3)
    axes.axvline(found.rate, color=INK, linewidth=1, linestyle="--", zorder=1)
