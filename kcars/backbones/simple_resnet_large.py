"""The paper's large SimpleResNet, with random initial weights."""

from kcars.backbones.catalogue import BACKBONES, Backbone, Scale
from kcars.backbones.resnet18 import HEAT_GRID, STAGES


def grid(images, scale: Scale):
    """The last feature map of the large SimpleResNet."""
    from kcars.backbones.blocks.residual import Layout, scaled_grid

    return scaled_grid(images, scale, Layout((80, 160, 320, 640), (3, 4, 6, 3), 40, True))


BACKBONES.register(
    Backbone("simple_resnet_large", grid, STAGES, scalable=True, heat_grid=HEAT_GRID, short={"classify": "SResL"})
)
