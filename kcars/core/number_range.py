"""Parses ranges of numbers such as `LOW..HIGH` in options."""

import math

from kcars.core.errors import KcarsError

BETWEEN = ".."


def bounds(text: str, where: str) -> tuple[float, float]:
    """Both ends of `LOW..HIGH`; raises KcarsError `where: ...` for another text or if LOW is not below HIGH."""
    low, _, high = text.partition(BETWEEN)
    try:
        ends = float(low), float(high)
    except ValueError:
        raise KcarsError(f"{where}: {text!r} is not a range; expected LOW..HIGH, such as 1e-5..1e-1") from None
    if not all(map(math.isfinite, ends)) or ends[0] >= ends[1]:
        raise KcarsError(f"{where}: {low} is not below {high}; expected LOW..HIGH, such as 1e-5..1e-1")
    return ends


def fraction(what: str, value: float) -> float:
    """Returns `value`, which must lie in [0, 1]."""
    if not 0.0 <= value <= 1.0:
        raise KcarsError(f"{what}: {value} is not a share; choose a number from 0 to 1")
    return float(value)
