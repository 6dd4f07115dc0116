"""The paper's residual networks that begin with random weights. SimpleResNet has the layout of ResNet-18: its name is kept
because the paper's tables use it."""

from kcars.backbones.catalogue import BACKBONES, Backbone
from kcars.backbones.resnet18 import HEAT_GRID, STAGES, grid


def large_grid(images, width: float, stem: str, drop_path: float):
    """The last grid of the large SimpleResNet."""
    from kcars.backbones.blocks.residual import scaled_grid

    layout = {"widths": (80, 160, 320, 640), "blocks": (3, 4, 6, 3), "stem_width": 40, "project_first": True}
    return scaled_grid(images, width, stem, drop_path, **layout)


for name, function, short in (("simple_resnet", grid, "SRes"), ("simple_resnet_large", large_grid, "SResL")):
    BACKBONES.register(Backbone(name, function, STAGES, scalable=True, heat_grid=HEAT_GRID, short={"classify": short}))
