"""What kcars has to know of a loss, and the catalogue of all: `LOSSES`.

A loss is one file: it registers a `Loss` when it is imported. Nothing at the top of such a file imports Keras: settings are read
without it.
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
"""What a loss may take -> (task, whether it learns from random pairs).

logits, scaled_cosines, cosines: (n, classes); vectors: all unit vectors (n, d) of a batch; distance, pair_logit: (n,) of pairs.
"""


@dataclass(frozen=True)
class Loss:
    """One loss.

    name: as in `loss.name`; settings: a class with that name as its `name`; takes: what of TAKEN it is of; values: (labels,
    outputs, *, settings by name) -> one value an example (n,), float32 whatever the precision of the outputs; of_batch: the same
    of vectors; check: called with the settings by name, raises KcarsError for what they may not be; plain: whether validation
    takes cross entropy in its place, because all else in it is for training on classes of unequal size; short: what the paper's
    names of strategies call it.
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
        """Whether a task can learn by it, from random pairs or not."""
        return any(TAKEN[kind] == (task, pairs) for kind in self.takes)

    def parameters(self, of_batch: bool = False) -> list[str]:
        """Names of what `values` or `of_batch` can be given beside labels and outputs."""
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
    """Names of the losses that a task can learn by, from random pairs or not."""
    return [name for name, loss in LOSSES.items() if loss.goes_with(task, pairs)]


def those_of(kind: str) -> list[str]:
    """Names of the losses that take outputs of a kind in TAKEN."""
    return [name for name, loss in LOSSES.items() if kind in loss.takes]
