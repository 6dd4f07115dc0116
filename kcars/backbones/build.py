"""Builds a backbone as a Keras model from pixels to features, including pixel scaling."""

import re
from collections.abc import Iterator

import keras

from kcars.backbones.blocks.layers import PixelScaling
from kcars.backbones.blocks.residual import POOLED_BY, STEMS, pooled
from kcars.backbones.catalogue import BACKBONES, BLUE_FIRST, NORMALIZATIONS, Backbone, Scale, those
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
    for what, value, known in (("backbone", name, BACKBONES), ("normalization", normalization, NORMALIZATIONS)):
        if value not in known:
            raise one_of(what, value, known)
    backbone = BACKBONES[name]
    _refuse_other_arguments(backbone, size_px, scale, grid)
    if any_size and backbone.multiple_px > 1:
        raise KcarsError(f"data.first_px: {name} does not support progressive resizing")
    mean, std = NORMALIZATIONS[normalization]
    side = None if any_size else size_px
    pixels = keras.Input((side, side, 3), dtype="float32", name="pixels")
    images = PixelScaling(mean, std, normalization in BLUE_FIRST, name="scaling")(pixels)
    found = backbone.grid(images, scale)
    last, middle = found if isinstance(found, (list, tuple)) else (found, None)
    if len(last.shape) != 4:
        raise KcarsError(f"backbone {name}: its grid has shape {tuple(last.shape)}; (n, h, w, channels) is expected")
    features = pooled(last, pooling)
    if backbone.after_pooling:
        features = backbone.after_pooling(features)
    _refuse_layers_that_do_not_fit(backbone, keras.Model(images, features))
    return keras.Model(pixels, [features, middle] if grid else features, name=name)


def _refuse_other_arguments(backbone: Backbone, size_px: int, scale: Scale, grid: bool) -> None:
    """Raise KcarsError for arguments of `build_backbone` that a backbone does not have."""
    if scale.stem not in STEMS:
        raise one_of("stem", scale.stem, STEMS)
    if scale.width <= 0:
        raise KcarsError(f"width: {scale.width} is not above 0; 1.0 is the published width")
    if size_px < backbone.smallest_px:
        raise KcarsError(
            f"data.size_px: {size_px} is too small for {backbone.name}, which needs at least {backbone.smallest_px}"
        )
    if size_px % backbone.multiple_px:
        raise KcarsError(
            f"data.size_px: {size_px} is not a multiple of {backbone.multiple_px}, which {backbone.name} needs"
        )
    if grid and not backbone.auxiliary:
        have = f"; {', '.join(those('auxiliary'))} has"
        raise KcarsError(f"model.auxiliary: {backbone.name} has no auxiliary head{have}")


def _refuse_layers_that_do_not_fit(backbone: Backbone, network: keras.Model) -> None:
    """Raise KcarsError for a layer with weights that not exactly one stage matches, or if `heat_grid` matches no layer."""
    found = [layer for layer in _layers(network) if layer.name not in POOLED_BY]
    names = [layer.name for layer in found]
    for layer in found:
        stages = [stage for stage in backbone.stages if re.fullmatch(stage, layer.name)] if layer.weights else [""]
        if len(stages) != 1:
            what = f"stages {' and '.join(stages)} match" if stages else "no stage matches"
            raise KcarsError(
                f"backbone {backbone.name}: {what} layer {layer.name}; exactly one of {', '.join(backbone.stages)} should"
            )
    if backbone.heat_grid and not any(re.fullmatch(backbone.heat_grid, layer) for layer in names):
        raise KcarsError(
            f"backbone {backbone.name}: heat_grid {backbone.heat_grid} matches no layer, such as {names[-1]}"
        )


def _layers(network: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield the layers of a model, and those of models in it instead of these."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer
