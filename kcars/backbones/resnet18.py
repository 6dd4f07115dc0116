"""ResNet-18 (He et al. 2015, arXiv 1512.03385), as in torchvision."""

from kcars.backbones.catalogue import BACKBONES, Backbone, HubFile, Scale

STAGES = ("stem_.*", "stage1_.*", "stage2_.*", "stage3_.*", "stage4_.*")
HEAT_GRID = r"stage2_block\d+_relu2"


def grid(images, scale: Scale):
    """The last feature map of ResNet-18."""
    from kcars.backbones.blocks.residual import Layout, scaled_grid

    return scaled_grid(images, scale, Layout((64, 128, 256, 512), (2, 2, 2, 2)))


BACKBONES.register(
    Backbone(
        "resnet18",
        grid,
        STAGES,
        scalable=True,
        normalization="imagenet",
        imagenet=HubFile("timm/resnet18.tv_in1k", "model.safetensors"),
        heat_grid=HEAT_GRID,
        short={"classify": "Res18", "verify": "SRes18"},
    )
)
