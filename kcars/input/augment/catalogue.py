"""The catalogue of augmentation operations, `OPERATIONS`, and its records.

Files register an `Operation` when they are imported. This file does not import albumentations, so that chains can be read
without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kcars.core.catalogue import Catalogue


@dataclass(frozen=True)
class Operation:
    """The record of an operation.

    name: as in `name(0.5, option=1)`; make: (probability, **options) -> a transform of albumentations, or an object with its
    `set_random_state(generator, py_random)`, `should_apply()` and a `changed(photo)` that returns (h, w, 3) uint8 of the same size.
    All random numbers come from the generators of `set_random_state`. Options are numbers, texts and tuples of them; `make`
    raises ValueError, TypeError or KcarsError for invalid ones.
    """

    name: str
    make: Callable[..., Any]


OPERATIONS: Catalogue[Operation] = Catalogue(
    "augmentation", "kcars.input.augment", ("operations",), "kcars.augmentations"
)
