"""EfficientNet-Lite1: deeper than Lite0, published for photos of 240 pixels."""

from kcars.backbones.blocks.efficientnet_lite import efficientnet_lite
from kcars.backbones.catalogue import BACKBONES

BACKBONES.register(
    efficientnet_lite(
        "efficientnet_lite1",
        width=1.0,
        depth=1.1,
        file="efficientnet-lite1-77cc7160.pth",
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    )
)
