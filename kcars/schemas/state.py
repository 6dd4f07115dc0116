"""The schemas of the facts in state.npz: the state of callbacks between two steps.

Numbers may be infinite, such as the best score before the first one.
"""

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, NonNegativeFloat, NonNegativeInt

from kcars.schemas import Part

LARGEST = 3.4028234663852886e38  # Of float32, in which TensorBoard stores the history.


def _fits_float32(number: float) -> float:
    if LARGEST < abs(number) < math.inf:
        raise ValueError("exceeds the range of float32")
    return number


def _is_one(number: float) -> float:
    if math.isnan(number):
        raise ValueError("expected a number")
    return number


Cell = str | int | float
Logged = Annotated[float, AfterValidator(_fits_float32)]
Best = Annotated[float, AfterValidator(_is_one)]


class _Remembered(Part):
    model_config = ConfigDict(allow_inf_nan=True)


class StateFacts(_Remembered):
    """step: number of completed steps."""

    format: Literal[1]
    step: NonNegativeInt
    identity: str | None = None


class Steps(_Remembered):
    step: NonNegativeInt


class HistoryFacts(Steps):
    rows: list[dict[str, Logged]]
    elapsed: NonNegativeFloat


class BestCheckpointFacts(_Remembered):
    best: Best
    best_epoch: NonNegativeInt
    epochs: NonNegativeInt


class EpochCheckpointFacts(_Remembered):
    epochs: NonNegativeInt


class PlateauFacts(_Remembered):
    best: Best
    waited: NonNegativeInt


class CollapseWatchFacts(_Remembered):
    warned: bool


class TimeLimitFacts(_Remembered):
    seconds: NonNegativeFloat


class AveragedFacts(_Remembered):
    steps: NonNegativeInt


class RowsFacts(_Remembered):
    """Rows of a table; each begins with its epoch."""

    rows: list[Annotated[list[Cell], Field(min_length=2)]]


CALLBACKS = {
    "SaveState": Steps,
    "Progress": Steps,
    "History": HistoryFacts,
    "KeepBest": BestCheckpointFacts,
    "KeepEpoch": EpochCheckpointFacts,
    "Plateau": PlateauFacts,
    "CollapseWatch": CollapseWatchFacts,
    "TimeLimit": TimeLimitFacts,
    "Averaged": AveragedFacts,
    "BalancedMetrics": RowsFacts,
    "Curves": RowsFacts,
}
