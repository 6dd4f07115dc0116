"""Builds a backbone as a Keras model from pixels to features, including pixel scaling."""

import keras

from kcars.backbones.blocks.layers import PixelScaling
from kcars.backbones.blocks.residual import STEMS, pooled
from kcars.backbones.catalogue import BACKBONES, BLUE_FIRST, NORMALIZATIONS, Scale, those
from kcars.core.errors import KcarsError, one_of


def build_backbone(
    name: str,
    size_px: int,
    scale: Scale = Scale(),  # noqa: B008  Scale is frozen.
    normalization: str = "compcars",
    grid: bool = False,
    pooling: str = "average",
    any_size: bool = False,
) -> keras.Model:
    """Model called `name` from pixels 0..255 (n, size_px, size_px, 3) to features (n, d) float32.

    scale: for scalable backbones; others accept only the default. any_size: accept any size from size_px on, with the same
    weights. grid: also output the feature map for an auxiliary head (only InceptionV3 has one).
    Pixels may be uint8 or float. The input is declared float32 and converted inside the graph: uint8 batches
    are transferred as bytes, and augmented float pixels are not rounded.

    Raises:
        KcarsError: for an unknown name, stem or normalization (lists the known ones), a width not above 0, or too small a size.
    """
    for what, value, known in (
        ("backbone", name, BACKBONES),
        ("stem", scale.stem, STEMS),
        ("normalization", normalization, NORMALIZATIONS),
    ):
        if value not in known:
            raise one_of(what, value, known)
    backbone = BACKBONES[name]
    if scale.width <= 0:
        raise KcarsError(f"width: {scale.width} is not above 0; 1.0 is the published width")
    if size_px < backbone.smallest_px:
        raise KcarsError(
            f"data.size_px: {size_px} is too small for {name}, which needs at least {backbone.smallest_px}"
        )
    if grid and not backbone.auxiliary:
        have = f"; {', '.join(those('auxiliary'))} has"
        raise KcarsError(f"model.auxiliary: {name} has no auxiliary head{have}")
    mean, std = NORMALIZATIONS[normalization]
    side = None if any_size else size_px
    pixels = keras.Input((side, side, 3), dtype="float32", name="pixels")
    images = PixelScaling(mean, std, normalization in BLUE_FIRST, name="scaling")(pixels)
    found = backbone.grid(images, scale)
    last, middle = found if isinstance(found, (list, tuple)) else (found, None)
    features = pooled(last, pooling)
    return keras.Model(pixels, [features, middle] if grid else features, name=name)
