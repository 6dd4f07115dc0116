"""The paper's SimpleResNet: ResNet-18 with random initial weights, named as in the paper's tables."""

from kcars.backbones.catalogue import BACKBONES, Backbone
from kcars.backbones.resnet18 import HEAT_GRID, STAGES, grid

BACKBONES.register(
    Backbone("simple_resnet", grid, STAGES, scalable=True, heat_grid=HEAT_GRID, short={"classify": "SRes"})
)
