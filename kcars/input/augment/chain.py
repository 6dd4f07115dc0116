"""Augmentation chains such as `flip(0.5) | affine(0.3, scale=(0.9, 1.1))`, with a random state for each photo.

Every operation (`OPERATIONS`) creates a transform of albumentations; its first argument is the probability. The random
state of every photo is set from (seed, sample number), so that results do not depend on order and threads.
"""

import ast
import os

import numpy as np

from kcars.core.errors import KcarsError, one_of
from kcars.input.augment.catalogue import OPERATIONS

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # It would contact the package index at import.

# The settings that contain a chain, with a purpose that makes their random numbers independent.
SETTINGS = {"data.augment": 0, "balance.augment": 1}
MOST_OPERATIONS = 100


def parse(text: str, setting: str = "data.augment") -> list[tuple[str, list, dict]]:
    """Operations of a chain as (name, positional values, named values); raises KcarsError for anything but literals."""
    parts = [part.strip() for part in text.split("|") if part.strip()]
    if len(parts) > MOST_OPERATIONS:
        raise KcarsError(f"{setting}: {len(parts):,} operations; a chain has at most {MOST_OPERATIONS}")
    return [_parse_one(part, text, setting) for part in parts]


def _parse_one(part: str, text: str, setting: str) -> tuple[str, list, dict]:
    where = f"{setting}: {part!r}"
    try:
        call = ast.parse(part, mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            raise ValueError
        values = [ast.literal_eval(argument) for argument in call.args]
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise KcarsError(
            f'{where}: expected name(probability, option=value), such as flip(0.5), or the empty text "" for none'
        ) from None
    if call.func.id not in OPERATIONS:
        raise one_of(f"{setting} in {text!r}", call.func.id, OPERATIONS)
    if len(values) != 1 or not isinstance(values[0], (int, float)) or not 0 <= values[0] <= 1:
        raise KcarsError(f"{where}: the first value is the probability, a number from 0 to 1")
    return call.func.id, values, named


class Augment:
    """A chain, ready to be applied: `augment(photos, samples)`."""

    def __init__(self, text: str, seed: int, setting: str = "data.augment"):
        """setting: the one of SETTINGS that contains the text; each has its own random numbers."""
        self.text, self.setting = text, setting
        self._key = (SETTINGS[setting] << 32 | seed) << 64
        self._operations = parse(text, setting)
        # Chains that no thread uses. Thread-local ones would not be reused: each call of TensorFlow is a new thread to Python.
        # The first is created now, so that wrong options are reported now.
        self._idle = [self._chain()] if self._operations else []

    def __call__(
        self, photos: np.ndarray, samples: np.ndarray, out: np.ndarray | None = None, chances: np.ndarray | None = None
    ) -> np.ndarray:
        """Augmented photos (n, h, w, 3) uint8; `samples` (n,) are the photos' global sample numbers.

        out: output array, which may be `photos`; a new array by default. chances: probabilities (n,) of applying the chain to
        each photo; 1 by default.
        """
        if not self._operations:
            return photos
        out = np.empty_like(photos) if out is None else out
        chances = np.ones(len(photos)) if chances is None else chances
        try:
            chain = self._idle.pop()
        except IndexError:
            chain = self._chain()
        try:
            for row, (sample, chance) in enumerate(zip(samples, chances, strict=True)):
                out[row] = chain(photos[row], self._key | int(sample), chance)
        except (ArithmeticError, ValueError) as error:
            raise self._refusal(error) from None
        self._idle.append(chain)
        return out

    def _chain(self):
        from kcars.input.augment.lean_transforms import Chain

        try:
            return Chain([OPERATIONS[name].make(*values, **named) for name, values, named in self._operations])
        except (ArithmeticError, TypeError, ValueError) as error:
            raise self._refusal(error) from None

    def _refusal(self, error: Exception) -> KcarsError:
        """The error for a chain with invalid options."""
        reason = str(error).split("\n")[0]
        return KcarsError(f"{self.setting}: {self.text!r}: {reason}")
