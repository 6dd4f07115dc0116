"""The facts in state.npz: what callbacks remember between two steps.

Numbers may be infinite, such as the best score before the first.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, NonNegativeFloat, NonNegativeInt

from kcars.run_schemas import Part

Cell = str | int | float


class _Remembered(Part):
    model_config = ConfigDict(allow_inf_nan=True)


class StateFacts(_Remembered):
    """step: steps done."""

    format: Literal[1]
    step: NonNegativeInt
    identity: str | None = None


class Steps(_Remembered):
    step: NonNegativeInt


class HistoryFacts(Steps):
    rows: list[dict[str, float]]
    elapsed: NonNegativeFloat


class KeepBestFacts(_Remembered):
    best: float
    best_epoch: NonNegativeInt
    epochs: NonNegativeInt


class KeepEpochFacts(_Remembered):
    epochs: NonNegativeInt


class PlateauFacts(_Remembered):
    best: float
    waited: NonNegativeInt


class CollapseWatchFacts(_Remembered):
    warned: bool


class TimeLimitFacts(_Remembered):
    seconds: NonNegativeFloat


class AveragedFacts(_Remembered):
    steps: NonNegativeInt


class RowsFacts(_Remembered):
    """Rows of a table, each of which begins with its epoch."""

    rows: list[Annotated[list[Cell], Field(min_length=2)]]


CALLBACKS = {
    "SaveState": Steps,
    "Progress": Steps,
    "History": HistoryFacts,
    "KeepBest": KeepBestFacts,
    "KeepEpoch": KeepEpochFacts,
    "Plateau": PlateauFacts,
    "CollapseWatch": CollapseWatchFacts,
    "TimeLimit": TimeLimitFacts,
    "Averaged": AveragedFacts,
    "BalancedMetrics": RowsFacts,
    "Curves": RowsFacts,
}
