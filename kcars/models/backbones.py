"""Backbones by name: from pixels to features, the scaling inside."""

from functools import partial

import keras

from kcars.core.errors import KcarsError, one_of
from kcars.models.applications import APPLICATIONS, application
from kcars.models.layers import PixelScaling
from kcars.models.residual import STEMS, pooled, residual_grid

# Mean and standard deviation of RGB / 255. CompCars: the figures published with the paper. The others are what ImageNet
# weights were trained with: imagenet torchvision's and EfficientNet's, half InceptionV3's (-1 to 1), caffe Keras'
# ResNet50's (blue first, minus the mean, not divided).
NORMALIZATIONS = {
    "compcars": ((0.49133, 0.47956, 0.46959), (0.25853, 0.25819, 0.26201)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "caffe": ((103.939 / 255, 116.779 / 255, 123.68 / 255), (1 / 255, 1 / 255, 1 / 255)),
}
BLUE_FIRST = {"caffe"}


def resnet_grid(
    images, width: float, stem: str, drop_path: float, *, widths, blocks, stem_width=None, project_first=False
):
    """Residual grid of scaled images, every width multiplied by `width`."""
    widths = [scaled_width(channels, width) for channels in widths]
    stem_width = scaled_width(stem_width, width) if stem_width else None
    return residual_grid(images, widths, blocks, stem, stem_width, project_first, drop_path)


# name -> factory(scaled images, width, stem, drop_path) -> grid (n, h, w, d). SimpleResNet is the layout of ResNet-18
# from random weights: its name is kept because the paper's tables use it.
BACKBONES = {
    "resnet18": partial(resnet_grid, widths=(64, 128, 256, 512), blocks=(2, 2, 2, 2)),
    "simple_resnet": partial(resnet_grid, widths=(64, 128, 256, 512), blocks=(2, 2, 2, 2)),
    "simple_resnet_large": partial(
        resnet_grid,
        widths=(80, 160, 320, 640),
        blocks=(3, 4, 6, 3),
        stem_width=40,
        project_first=True,
    ),
}


def build_backbone(
    name: str,
    size_px: int,
    width: float = 1.0,
    stem: str = "standard",
    normalization: str = "compcars",
    grid: bool = False,
    pooling: str = "average",
    drop_path: float = 0.0,
    any_size: bool = False,
) -> keras.Model:
    """Model called `name` from pixels 0..255 (n, size_px, size_px, 3) to features (n, d) float32.

    any_size: of any size from size_px on, the same weights. With `grid`, to those and to the grid of features that an auxiliary head sees (InceptionV3 alone has one).
    Pixels may be uint8 or float. The input is declared float32 and converts inside the graph: uint8 batches
    travel as bytes, and augmented float pixels are not cut to whole numbers.

    Raises:
        KcarsError: an unknown name, stem or normalization (it lists the known), or a width not above 0.
    """
    for what, value, known in (
        ("backbone", name, [*BACKBONES, *APPLICATIONS]),
        ("stem", stem, STEMS),
        ("normalization", normalization, NORMALIZATIONS),
    ):
        if value not in known:
            raise one_of(what, value, known)
    if width <= 0:
        raise KcarsError(f"width: {width} is not above 0; 1.0 is the published width")
    mean, std = NORMALIZATIONS[normalization]
    side = None if any_size else size_px
    pixels = keras.Input((side, side, 3), dtype="float32", name="pixels")
    images = PixelScaling(mean, std, normalization in BLUE_FIRST, name="scaling")(pixels)
    if name in BACKBONES:
        return keras.Model(pixels, pooled(BACKBONES[name](images, width, stem, drop_path), pooling), name=name)
    smallest = APPLICATIONS[name][1]
    if size_px < smallest:
        raise KcarsError(f"data.size_px: {size_px} is too small for {name}; it takes {smallest} and more")
    return keras.Model(pixels, _application_features(name, images, side, grid, pooling), name=name)


def _application_features(name: str, images, size_px: int | None, grid: bool, pooling: str):
    found = application(name, size_px)(images)
    last, middle = found if isinstance(found, (list, tuple)) else (found, None)
    features = pooled(last, pooling)
    if grid and middle is None:
        raise KcarsError(f"model.auxiliary: {name} has no auxiliary head; inception_v3 has")
    return [features, middle] if grid else features


def scaled_width(channels: int, width: float) -> int:
    """`channels` times `width`, rounded to a multiple of 8, at least 8."""
    return max(8, 8 * int(channels * width / 8 + 0.5))
