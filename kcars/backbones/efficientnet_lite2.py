"""EfficientNet-Lite2: wider and deeper than Lite0, published for photos of 260 pixels."""

from kcars.backbones.blocks.efficientnet_lite import efficientnet_lite
from kcars.backbones.catalogue import BACKBONES

BACKBONES.register(
    efficientnet_lite(
        "efficientnet_lite2",
        width=1.1,
        depth=1.2,
        file="efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    )
)
