"""EfficientNet-Lite0: the smallest size, published for photos of 224 pixels."""

from kcars.backbones.blocks.efficientnet_lite import efficientnet_lite
from kcars.backbones.catalogue import BACKBONES

BACKBONES.register(
    efficientnet_lite(
        "efficientnet_lite0",
        width=1.0,
        depth=1.0,
        file="efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )
)
