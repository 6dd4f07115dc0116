"""Search space of `--search`: settings with a range or a list of values."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from kcars.core.errors import KcarsError
from kcars.core.number_range import BETWEEN, bounds
from kcars.losses.catalogue import LOSSES
from kcars.settings import Strategy
from kcars.settings.effects import names_that_affect
from kcars.settings.strategy import check, put, settings_of, value_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

LOG_FROM = 100  # Ranges with at least this ratio of ends are searched on a logarithmic scale.
UNSEARCHED = names_that_affect("measurement", "scoring", "conditions", "nothing")
"""Settings that change what a score is measured on, or do not affect it."""


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, inclusive; `log`: on a logarithmic scale; `whole`: integers."""

    key: str
    low: float
    high: float
    log: bool
    whole: bool

    def ends(self) -> list:
        return [self.value(self.low), self.value(self.high)]

    def value(self, sampled: Any) -> float | int:
        return int(sampled) if self.whole else float(sampled)

    def distribution(self) -> "BaseDistribution":
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)

    def __str__(self) -> str:
        return f"{self.key}={self.low:g}{BETWEEN}{self.high:g}:{'log' if self.log else 'linear'}"


@dataclass(frozen=True)
class Choice:
    """Values of any type, sampled by the text of `label`."""

    key: str
    values: tuple

    def ends(self) -> list:
        return list(self.values)

    def value(self, sampled: Any):
        return next(value for value in self.values if label(value) == sampled)

    def distribution(self) -> "BaseDistribution":
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution([label(value) for value in self.values])

    def __str__(self) -> str:
        return f"{self.key}={','.join(label(value) for value in self.values)}"


def label(value) -> str:
    """Return a value as text: a string unchanged, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def parse(texts: Sequence[str], strategy: Strategy) -> list[Range | Choice]:
    """Parse `--search` texts to a space around a strategy.

    Raises KcarsError for an invalid text, a setting that is unknown or not searchable, and a value that the setting cannot
    have for any other settings.
    """
    space = [_dimension(text, strategy) for text in texts]
    keys = [one.key for one in space]
    for key in keys:
        if keys.count(key) > 1 or any(other.startswith(key + ".") for other in keys):
            raise KcarsError(f"--search {key}: is given twice; give all its values in one option")
    for one in space:
        for value in one.ends():
            _refuse_impossible(strategy, one.key, value)
    return space


def strategy_with(strategy: Strategy, values: dict) -> Strategy:
    """Return the strategy with settings `key.sub` changed; KcarsError if they are inconsistent."""
    settings = strategy.model_dump()
    for key, value in values.items():
        put(settings, key, value, f"--search {key}")
    return check(settings, "its settings")


def _dimension(text: str, strategy: Strategy) -> Range | Choice:
    key, equals, values_text = text.partition("=")
    where = f"--search {text}"
    if not equals or not key or not values_text.strip():
        raise KcarsError(f"{where}: expected KEY=LOW..HIGH or KEY=A,B, such as train.learning_rate=1e-4..1e-2")
    if key in UNSEARCHED:
        raise KcarsError(
            f"--search {key}: cannot be searched: it changes what scores are measured on, or does not affect them"
        )
    if re.match(r"[-+.\d][^,]*\.\.", values_text):
        return _range(key, values_text, strategy, where)
    values = value_of(f"[{values_text}]")
    if not isinstance(values, list) or len(values) < 2:
        raise KcarsError(f"{where}: is a single value; give two or more, or LOW..HIGH, or use --set")
    if len({label(value) for value in values}) < len(values):
        raise KcarsError(f"{where}: has a value twice")
    return Choice(key, tuple(values))


def _range(key: str, text: str, strategy: Strategy, where: str) -> Range:
    text, _, scale = text.partition(":")
    if scale not in ("", "log", "linear"):
        raise KcarsError(f"{where}: {scale!r} is not a scale; choose log or linear")
    low, high = bounds(text, where)
    if scale == "log" and low <= 0:
        raise KcarsError(f"{where}: a logarithmic range must begin above 0, not at {low:g}")
    log = scale == "log" or (not scale and low > 0 and high / low >= LOG_FROM * (1 - 1e-9))
    whole = low.is_integer() and high.is_integer() and _is_whole(strategy, key)
    return Range(key, low, high, log, whole)


def _is_whole(strategy: Strategy, key: str) -> bool:
    """Return whether a setting only accepts integers."""
    *sections, last = key.split(".")
    model = Strategy
    for section in sections:
        if section not in getattr(model, "model_fields", ()):
            return False
        model = LOSSES[strategy.loss.name].settings if section == "loss" else settings_of(model, section)
    fields = getattr(model, "model_fields", {})
    annotation = fields[last].annotation if last in fields else None
    return annotation is int or (int in get_args(annotation) and float not in get_args(annotation))


def _refuse_impossible(strategy: Strategy, key: str, value) -> None:
    """Raise KcarsError if the setting cannot have the value for any other settings."""
    settings, where = strategy.model_dump(), f"--search {key}"
    put(settings, key, value, where)
    try:
        Strategy.model_validate(settings)
    except ValidationError as error:
        if any(found["loc"] for found in error.errors()):
            check(settings, where)
