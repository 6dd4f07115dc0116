"""The augmentation operations of kcars; each imports its transforms on first use."""

from kcars.core.errors import one_of
from kcars.input.augment.catalogue import OPERATIONS, Operation

_BORDERS = {"black": 0, "replicate": 1, "reflect": 4}  # OpenCV's border numbers


def _flip(probability):
    import albumentations as A

    return A.HorizontalFlip(p=probability)


def _brightness_contrast(probability, brightness=0.2, contrast=0.2):
    from kcars.input.augment.lean_transforms import RandomBrightnessContrast

    return RandomBrightnessContrast(brightness_limit=brightness, contrast_limit=contrast, p=probability)


def _affine(
    probability,
    scale=(1.0, 1.0),
    translate=0.0,
    rotate=0.0,
    shear_x=0.0,
    shear_y=0.0,
    border="black",
):
    """Affine transform; scale and shift as shares, rotation and shear in degrees."""
    from kcars.input.augment.lean_transforms import Affine

    if border not in _BORDERS:
        raise one_of("border", border, _BORDERS)
    return Affine(
        scale=tuple(scale),
        keep_ratio=True,
        translate_percent=(-translate, translate),
        rotate=(-rotate, rotate),
        shear={"x": (-shear_x, shear_x), "y": (-shear_y, shear_y)},
        border_mode=_BORDERS[border],
        p=probability,
    )


def _stretch(probability, aspect=1.2):
    """Scales only the width, by 1 / aspect to aspect."""
    from kcars.input.augment.lean_transforms import Affine

    return Affine(scale={"x": (1 / aspect, aspect), "y": 1.0}, border_mode=_BORDERS["replicate"], p=probability)


def _colour(probability, hue=0.05, saturation=0.3):
    from kcars.input.augment.lean_transforms import ColorJitter

    return ColorJitter(brightness=0, contrast=0, saturation=saturation, hue=hue, p=probability)


def _shuffle_channels(probability):
    import albumentations as A

    return A.ChannelShuffle(p=probability)


def _grey(probability):
    import albumentations as A

    return A.ToGray(p=probability)


def _erase(probability, scale=(0.02, 0.2), ratio=(0.3, 3.3)):
    from kcars.input.augment.lean_transforms import Erasing

    return Erasing(scale=scale, ratio=ratio, fill=0, p=probability)


def _crop(probability, scale=(0.5, 1.0), ratio=(0.75, 1.333)):
    """Crops a part with the given range of area and aspect ratio, and resizes it to the photo's size."""
    from kcars.input.augment.lean_transforms import RandomResizedCrop

    scale, ratio = _range("scale", scale, 1), _range("ratio", ratio, 100)
    return RandomResizedCrop(size=(1, 1), scale=scale, ratio=ratio, p=probability)  # Ignored; the photo's size is used.


def _range(option, given, most):
    """Two increasing numbers above 0, up to `most`; raises ValueError for anything else."""
    if not (isinstance(given, (tuple, list)) and [isinstance(number, (int, float)) for number in given] == [True] * 2):
        raise ValueError(f"{option}: expected two numbers, (lowest, highest), not {given!r}")
    if not 0 < given[0] <= given[1] <= most:
        raise ValueError(f"{option}: expected lowest <= highest, above 0 and up to {most}, not {given!r}")
    return tuple(given)


def _rand_augment(probability, operations=2, magnitude=9):
    from kcars.input.augment.rand_augment import RandAugment

    return RandAugment(operations, magnitude, probability)


for name, make in {
    "flip": _flip,
    "crop": _crop,
    "brightness_contrast": _brightness_contrast,
    "affine": _affine,
    "stretch": _stretch,
    "colour": _colour,
    "shuffle_channels": _shuffle_channels,
    "grey": _grey,
    "erase": _erase,
    "rand_augment": _rand_augment,
}.items():
    OPERATIONS.register(Operation(name, make))
