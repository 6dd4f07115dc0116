"""The operations that an augmentation chain may name, by name: `OPERATIONS`.

An operation is one file: it registers an `Operation` when it is imported. Nothing here imports albumentations: chains are read
without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kcars.core.catalogue import Catalogue


@dataclass(frozen=True)
class Operation:
    """One operation of a chain.

    name: as in `name(0.5, option=1)`; make: (probability, **options) -> a transform of albumentations, or what has its
    `set_random_state(generator, py_random)`, `should_apply()` and a `changed(photo)` that returns (h, w, 3) uint8 of the same size.
    All draws come from what `set_random_state` gave. Options are numbers, texts and tuples of them; `make` raises ValueError,
    TypeError or KcarsError for what it does not take.
    """

    name: str
    make: Callable[..., Any]


OPERATIONS: Catalogue[Operation] = Catalogue(
    "augmentation", "kcars.input.augment", ("operations",), "kcars.augmentations"
)
