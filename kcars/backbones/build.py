"""A backbone as a Keras model: from pixels to features, the scaling inside."""

import keras

from kcars.backbones.blocks.layers import PixelScaling
from kcars.backbones.blocks.residual import STEMS, pooled
from kcars.backbones.catalogue import BACKBONES, BLUE_FIRST, NORMALIZATIONS, Scale, those
from kcars.core.errors import KcarsError, one_of


def build_backbone(
    name: str,
    size_px: int,
    scale: Scale = Scale(),  # noqa: B008  It is frozen.
    normalization: str = "compcars",
    grid: bool = False,
    pooling: str = "average",
    any_size: bool = False,
) -> keras.Model:
    """Model called `name` from pixels 0..255 (n, size_px, size_px, 3) to features (n, d) float32.

    scale: of a backbone that is scalable; others take the default alone. any_size: of any size from size_px on, the same weights. With `grid`, to those and to the grid of features that an auxiliary head sees (InceptionV3 alone has one).
    Pixels may be uint8 or float. The input is declared float32 and converts inside the graph: uint8 batches
    travel as bytes, and augmented float pixels are not cut to whole numbers.

    Raises:
        KcarsError: an unknown name, stem or normalization (it lists the known), a width not above 0, or a size too small.
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
        raise KcarsError(f"data.size_px: {size_px} is too small for {name}; it takes {backbone.smallest_px} and more")
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
