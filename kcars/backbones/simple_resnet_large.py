"""The paper's large SimpleResNet, which begins with random weights."""

from kcars.backbones.catalogue import BACKBONES, Backbone
from kcars.backbones.resnet18 import HEAT_GRID, STAGES


def grid(images, width: float, stem: str, drop_path: float):
    """The last grid of the large SimpleResNet."""
    from kcars.backbones.blocks.residual import scaled_grid

    layout = {"widths": (80, 160, 320, 640), "blocks": (3, 4, 6, 3), "stem_width": 40, "project_first": True}
    return scaled_grid(images, width, stem, drop_path, **layout)


BACKBONES.register(
    Backbone("simple_resnet_large", grid, STAGES, scalable=True, heat_grid=HEAT_GRID, short={"classify": "SResL"})
)
