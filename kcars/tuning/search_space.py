"""What `--search` may try: settings by name, each with a range or a list of values."""

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

LOG_FROM = 100  # Ends whose ratio is so large are searched by their logarithm.
UNSEARCHED = names_that_affect("measurement", "scoring", "conditions", "nothing")
"""They change what a score is measured on, or nothing of it."""


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included; `log`: drawn by their logarithm; `whole`: whole ones."""

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
    """Values of any kind; they are sampled by the text that `label` gives."""

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
    """A value as text: a name as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def parse(texts: Sequence[str], strategy: Strategy) -> list[Range | Choice]:
    """The space of `--search` texts around a strategy.

    Raises KcarsError for a text that is none, for a setting that is unknown or not to be searched, and for a value that
    the setting cannot have whatever the others are.
    """
    space = [_dimension(text, strategy) for text in texts]
    keys = [one.key for one in space]
    for key in keys:
        if keys.count(key) > 1 or any(other.startswith(key + ".") for other in keys):
            raise KcarsError(f"--search {key}: is given twice; give all its values in one")
    for one in space:
        for value in one.ends():
            _refuse_impossible(strategy, one.key, value)
    return space


def strategy_with(strategy: Strategy, values: dict) -> Strategy:
    """The strategy with settings `key.sub` changed; KcarsError where they do not fit together."""
    settings = strategy.model_dump()
    for key, value in values.items():
        put(settings, key, value, f"--search {key}")
    return check(settings, "its settings")


def _dimension(text: str, strategy: Strategy) -> Range | Choice:
    key, equals, told = text.partition("=")
    where = f"--search {text}"
    if not equals or not key or not told.strip():
        raise KcarsError(f"{where}: expected KEY=LOW..HIGH or KEY=A,B, such as train.learning_rate=1e-4..1e-2")
    if key in UNSEARCHED:
        raise KcarsError(f"--search {key}: cannot be searched: it changes what scores are measured on, or none of them")
    if re.match(r"[-+.\d][^,]*\.\.", told):
        return _range(key, told, strategy, where)
    values = value_of(f"[{told}]")
    if not isinstance(values, list) or len(values) < 2:
        raise KcarsError(f"{where}: is one value; two or more, or LOW..HIGH, can be searched, and --set gives one")
    if len({label(value) for value in values}) < len(values):
        raise KcarsError(f"{where}: names a value twice")
    return Choice(key, tuple(values))


def _range(key: str, told: str, strategy: Strategy, where: str) -> Range:
    told, _, scale = told.partition(":")
    if scale not in ("", "log", "linear"):
        raise KcarsError(f"{where}: {scale!r} is no scale; choose log or linear")
    low, high = bounds(told, where)
    if scale == "log" and low <= 0:
        raise KcarsError(f"{where}: a logarithmic range begins above 0, not at {low:g}")
    log = scale == "log" or (not scale and low > 0 and high / low >= LOG_FROM * (1 - 1e-9))
    whole = low.is_integer() and high.is_integer() and _is_whole(strategy, key)
    return Range(key, low, high, log, whole)


def _is_whole(strategy: Strategy, key: str) -> bool:
    """Whether a setting takes whole numbers and no others."""
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
    """KcarsError where the setting cannot have the value; what other settings would have to be is no matter here."""
    settings, where = strategy.model_dump(), f"--search {key}"
    put(settings, key, value, where)
    try:
        Strategy.model_validate(settings)
    except ValidationError as error:
        if any(found["loc"] for found in error.errors()):
            check(settings, where)
