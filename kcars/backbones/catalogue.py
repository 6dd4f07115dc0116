"""The catalogue of backbones, `BACKBONES`, and its records.

Each backbone is one file that registers a `Backbone` when it is imported. Settings, their schema and messages, fine-tuning,
heat maps, ImageNet weights and the choice of precision use this record. This file does not import Keras, so that settings
can be read without it.
"""

import pkgutil
import re
from collections.abc import Callable, Collection
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
SMALLEST_PX = 32  # Side in pixels below which the feature maps of most backbones are empty.


@dataclass(frozen=True)
class HubFile:
    """ImageNet weights in a file on the Hugging Face Hub."""

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

    application: its name in `keras.applications`; page: URL of the file; layer: a layer of the backbone -> its name in the
    application; check: called with the application and the path of the file, raises KcarsError if they cannot be used.
    """

    application: str
    page: str
    layer: Callable[[str], str] = lambda layer: layer
    check: Callable[[Any, Path], None] = lambda model, path: None


@dataclass(frozen=True)
class Scale:
    """The size of a scalable backbone: `model.width`, `model.stem` and `model.drop_path`."""

    width: float = 1.0
    stem: str = "standard"
    drop_path: float = 0.0


@dataclass(frozen=True)
class Backbone:
    """The record of a backbone.

    name: as in `model.backbone`; grid: (scaled images (n, h, w, 3), a `Scale`) -> the last feature map (n, h, w, d), or with
    `auxiliary` a list of it and the feature map for an auxiliary head; stages: for each stage that fine-tuning freezes and
    unfreezes, in order from the input, a regular expression that matches the whole names of its layers; scalable: whether the
    scale applies; drop_path: whether `scale.drop_path` applies to a backbone that is not scalable; after_pooling: features (n, d)
    -> features; smallest_px: the smallest side of a photo; multiple_px: what every side is a multiple of, where a photo's size
    is fixed when the network is built; normalization, imagenet: pixel scaling and location of its
    ImageNet weights; torch_names: the names in a .safetensors file -> PyTorch's name of (layer, weight) in it, or None if it is
    not of PyTorch; ValueError says why its weights do not fit; heat_grid: a regular expression of layers, the last of which has a feature map of an eighth of the photo's
    side for heat maps, by default the last feature map; slow_in_half: whether bfloat16 is slower on CPUs
    (`tools/bench_step.py`); short: abbreviation in the paper's names of strategies, by task.
    """

    name: str
    grid: Callable[[Any, Scale], Any]
    stages: tuple[str, ...]
    scalable: bool = False
    drop_path: bool = False
    after_pooling: Callable[[Any], Any] | None = None
    smallest_px: int = SMALLEST_PX
    multiple_px: int = 1
    normalization: str | None = None
    imagenet: HubFile | ApplicationFile | PackageFile | None = None
    torch_names: Callable[[Collection[str]], Callable[[str, str], str] | None] | None = None
    heat_grid: str | None = None
    auxiliary: bool = False
    slow_in_half: bool = False
    short: dict[str, str] = field(default_factory=dict)

    @cached_property
    def _patterns(self) -> list[re.Pattern]:
        return [re.compile(stage) for stage in self.stages]

    @property
    def drops_paths(self) -> bool:
        """Whether `model.drop_path` applies."""
        return self.scalable or self.drop_path

    def stage(self, layer: str) -> int:
        """The stage number of a layer; pooling with weights belongs to the last stage."""
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
    """Names of the backbones for which a field is true, such as "scalable"."""
    return [name for name, one in BACKBONES.items() if getattr(one, fact)]
