"""What kcars has to know of a backbone, and the catalogue of all: `BACKBONES`.

A backbone is one file: it registers a `Backbone` when it is imported. Settings, their schema and messages, fine-tuning,
heat maps, ImageNet weights and the choice of precision read their facts from there. Nothing here imports Keras: settings are
read without it.
"""

import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kcars.core.catalogue import Catalogue

NORMALIZATIONS = {
    "compcars": ((0.49133, 0.47956, 0.46959), (0.25853, 0.25819, 0.26201)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "lite": ((127 / 255, 127 / 255, 127 / 255), (128 / 255, 128 / 255, 128 / 255)),
    "caffe": ((103.939 / 255, 116.779 / 255, 123.68 / 255), (1 / 255, 1 / 255, 1 / 255)),
}
"""Mean and standard deviation of RGB / 255. compcars: the figures published with the paper; imagenet: torchvision's and
EfficientNet's; half: InceptionV3's (-1 to 1); lite: EfficientNet-Lite's; caffe: Keras' ResNet50's (blue first, minus the mean, not divided)."""
BLUE_FIRST = {"caffe"}
SMALLEST_PX = 32  # Sides in pixels below which most backbones have no grid left.


@dataclass(frozen=True)
class HubFile:
    """ImageNet weights as a file of the Hugging Face hub."""

    repository: str
    file: str


@dataclass(frozen=True)
class PackageFile:
    """ImageNet weights in a Python package that holds nothing else, as `torch.save` wrote them (`kcars.untrusted.torch_file`).

    package: its name, which is that of its folder too; file: below that folder; sha256: of the file; torch_layer: a layer of
    the backbone -> its name in the file.
    """

    package: str
    file: str
    sha256: str
    torch_layer: Callable[[str], str]


@dataclass(frozen=True)
class ApplicationFile:
    """ImageNet weights of a Keras application.

    application: its name in `keras.applications`; page: where Keras gets the file from; check: called with the application and
    the file's path, raises KcarsError where they cannot be used.
    """

    application: str
    page: str
    check: Callable[[Any, Path], None] = lambda model, path: None


@dataclass(frozen=True)
class Scale:
    """The size of a backbone that is scalable: `model.width`, `model.stem` and `model.drop_path`."""

    width: float = 1.0
    stem: str = "standard"
    drop_path: float = 0.0


@dataclass(frozen=True)
class Backbone:
    """One backbone.

    name: as in `model.backbone`; grid: (scaled images (n, h, w, 3), a `Scale`) -> the last grid (n, h, w, d), or
    a list of it and the grid for an auxiliary head, where `auxiliary`; stages: for each of its parts, from the photo on, a
    regular expression that matches the whole names of its layers, of which fine-tuning freezes and thaws; scalable: whether it
    follows the scale; smallest_px: the smallest side of a photo; normalization, imagenet: what its ImageNet
    weights were trained on, and where they are; heat_grid: a regular expression of the layers whose last has a grid of an eighth
    of the photo's side, for heat maps, without which they take the last grid; slow_in_half: whether bfloat16 takes longer on
    a processor (`tools/bench_step.py`); short: what the paper's names of strategies call it, by task.
    """

    name: str
    grid: Callable[[Any, Scale], Any]
    stages: tuple[str, ...]
    scalable: bool = False
    smallest_px: int = SMALLEST_PX
    normalization: str | None = None
    imagenet: HubFile | ApplicationFile | PackageFile | None = None
    heat_grid: str | None = None
    auxiliary: bool = False
    slow_in_half: bool = False
    short: dict[str, str] = field(default_factory=dict)

    @cached_property
    def _patterns(self) -> list[re.Pattern]:
        return [re.compile(stage) for stage in self.stages]

    def stage(self, layer: str) -> int:
        """The number of the stage that a layer belongs to; a pooling with weights belongs to the last."""
        if layer == "gem":
            return len(self.stages) - 1
        return next(number for number, pattern in enumerate(self._patterns) if pattern.fullmatch(layer))


_OTHERS = ("build", "catalogue")
_FILES = tuple(
    module.name
    for module in pkgutil.iter_modules([str(Path(__file__).parent)])
    if not module.ispkg and module.name not in _OTHERS
)
BACKBONES: Catalogue[Backbone] = Catalogue("backbone", "kcars.backbones", _FILES, "kcars.backbones")
"""Every file of this package registers one, in the order of their names."""


def those(fact: str) -> list[str]:
    """Names of the backbones of which a fact is true, such as "scalable"."""
    return [name for name, one in BACKBONES.items() if getattr(one, fact)]
