"""The catalogue of losses, `LOSSES`, and its records.

Each loss is one file that registers a `Loss` when it is imported. Such files do not import Keras at the top, so that
settings can be read without it.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kcars.core.base_settings import Settings
from kcars.core.catalogue import Catalogue

TAKEN = {
    "logits": ("classify", False),
    "scaled_cosines": ("classify", False),
    "cosines": ("verify", False),
    "vectors": ("verify", False),
    "distance": ("verify", True),
    "pair_logit": ("verify", True),
}
"""Input of a loss -> (task, whether training uses random pairs).

logits, scaled_cosines, cosines: (n, classes); vectors: all unit vectors (n, d) of a batch; distance, pair_logit: (n,) of pairs.
"""


@dataclass(frozen=True)
class Loss:
    """One loss.

    name: as in `loss.name`; settings: a class with that name as its `name`; takes: accepted inputs, keys of TAKEN; values:
    (labels, outputs, *, settings by name) -> one value per example (n,), float32 whatever the precision of the outputs;
    of_batch: the same for vectors; check: called with the settings by name, raises KcarsError for invalid ones; plain: whether
    validation uses cross entropy instead, because the loss differs only to balance classes in training; short: its
    abbreviation in the paper's names of strategies.
    """

    name: str
    settings: type[Settings]
    takes: tuple[str, ...]
    values: Callable[..., Any] | None = None
    of_batch: Callable[..., Any] | None = None
    check: Callable[..., None] = lambda **settings: None
    plain: bool = False
    short: str = ""

    def goes_with(self, task: str, pairs: bool) -> bool:
        """Whether the loss supports a task, with random pairs or without."""
        return any(TAKEN[kind] == (task, pairs) for kind in self.takes)

    def parameters(self, of_batch: bool = False) -> list[str]:
        """Names of the parameters of `values` or `of_batch` after labels and outputs."""
        function = self.of_batch if of_batch else self.values
        return list(inspect.signature(function).parameters)[2:] if function else []


LOSSES: Catalogue[Loss] = Catalogue(
    "loss",
    "kcars.losses",
    (
        *("cross_entropy", "focal", "sigmoid_focal", "ldam", "arcface", "normalised_softmax", "contrastive"),
        *("multi_similarity", "triplet", "binary_cross_entropy"),
    ),
    "kcars.losses",
)


def those_for(task: str, pairs: bool) -> list[str]:
    """Names of the losses that support a task, with random pairs or without."""
    return [name for name, loss in LOSSES.items() if loss.goes_with(task, pairs)]


def those_of(kind: str) -> list[str]:
    """Names of the losses that accept an input of TAKEN."""
    return [name for name, loss in LOSSES.items() if kind in loss.takes]
