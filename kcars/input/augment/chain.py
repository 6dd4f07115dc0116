"""Augmentation as one text chain, `flip(0.5) | affine(0.3, scale=(0.9, 1.1))`, keyed photo by photo.

Every operation is an albumentations transform; its first number is the probability. The random state is set anew for
every photo from (seed, sample number), so that order and threads change nothing.
"""

import ast
import os

import numpy as np

from kcars.core.errors import KcarsError, one_of

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # It would ask the package index at import.

# The settings that hold a chain, with what sets their draws apart.
SETTINGS = {"data.augment": 0, "balance.augment": 1}
MOST_OPERATIONS = 100
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
    """Scale and shift as shares, rotation and shear in degrees."""
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
    """Only the width is scaled, by 1 / aspect to aspect."""
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
    """A part of so much of the photo's area, of so much width to its height, in the photo's size again."""
    from kcars.input.augment.lean_transforms import RandomResizedCrop

    scale, ratio = _range("scale", scale, 1), _range("ratio", ratio, 100)
    return RandomResizedCrop(size=(1, 1), scale=scale, ratio=ratio, p=probability)  # The photo's size, not this one.


def _range(option, given, most):
    """Two rising numbers above 0, up to `most`; ValueError for anything else."""
    if not (isinstance(given, (tuple, list)) and [isinstance(number, (int, float)) for number in given] == [True] * 2):
        raise ValueError(f"{option}: {given!r} is not two numbers, (lowest, highest)")
    if not 0 < given[0] <= given[1] <= most:
        raise ValueError(f"{option}: {given!r} is not from the lower to the higher, above 0 and up to {most}")
    return tuple(given)


def _rand_augment(probability, operations=2, magnitude=9):
    from kcars.input.augment.rand_augment import RandAugment

    return RandAugment(operations, magnitude, probability)


OPERATIONS = {
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
}


def parse(text: str, setting: str = "data.augment") -> list[tuple[str, list, dict]]:
    """Operations of a chain as (name, positional values, named values); KcarsError for anything but literals."""
    parts = [part.strip() for part in text.split("|") if part.strip()]
    if len(parts) > MOST_OPERATIONS:
        raise KcarsError(f"{setting}: {len(parts):,} operations; a chain has at most {MOST_OPERATIONS}")
    return [_parse_one(part, text, setting) for part in parts]


def _parse_one(part: str, text: str, setting: str) -> tuple[str, list, dict]:
    where = f"{setting}: {part!r}"
    try:
        call = ast.parse(part, mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            raise ValueError
        values = [ast.literal_eval(argument) for argument in call.args]
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise KcarsError(
            f'{where}: expected name(probability, option=value), such as flip(0.5), or the empty text "" for none'
        ) from None
    if call.func.id not in OPERATIONS:
        raise one_of(f"{setting} in {text!r}", call.func.id, OPERATIONS)
    if len(values) != 1 or not isinstance(values[0], (int, float)) or not 0 <= values[0] <= 1:
        raise KcarsError(f"{where}: the first value is the probability, a number from 0 to 1")
    return call.func.id, values, named


class Augment:
    """A chain, ready to be applied: `augment(photos, samples)`."""

    def __init__(self, text: str, seed: int, setting: str = "data.augment"):
        """setting: which of SETTINGS the text is of; the same text in another one draws otherwise."""
        self.text, self.setting = text, setting
        self._key = (SETTINGS[setting] << 32 | seed) << 64
        self._operations = parse(text, setting)
        # Chains that no thread is at. Not one a thread: TensorFlow's are new to Python, with nothing of their own, each call.
        # The first is made now, so that a wrong option is told now.
        self._idle = [self._chain()] if self._operations else []

    def __call__(
        self, photos: np.ndarray, samples: np.ndarray, out: np.ndarray | None = None, chances: np.ndarray | None = None
    ) -> np.ndarray:
        """Augmented (n, h, w, 3) uint8; `samples` (n,) are the photos' global sample numbers.

        out: where they are written, which may be `photos`; without it, new memory. chances: (n,) with which the chain is
        applied to each photo at all; without them, to every one.
        """
        if not self._operations:
            return photos
        out = np.empty_like(photos) if out is None else out
        chances = np.ones(len(photos)) if chances is None else chances
        try:
            chain = self._idle.pop()
        except IndexError:
            chain = self._chain()
        try:
            for row, (sample, chance) in enumerate(zip(samples, chances, strict=True)):
                out[row] = chain(photos[row], self._key | int(sample), chance)
        except (ArithmeticError, ValueError) as error:
            raise self._refusal(error) from None
        self._idle.append(chain)
        return out

    def _chain(self):
        from kcars.input.augment.lean_transforms import Chain

        try:
            return Chain([OPERATIONS[name](*values, **named) for name, values, named in self._operations])
        except (ArithmeticError, TypeError, ValueError) as error:
            raise self._refusal(error) from None

    def _refusal(self, error: Exception) -> KcarsError:
        """For a chain whose options no photo can be changed by."""
        reason = str(error).split("\n")[0]
        return KcarsError(f"{self.setting}: {self.text!r}: {reason}")
