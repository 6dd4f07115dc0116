"""RandAugment: applies a few of fourteen operations, drawn for every photo, all with the same magnitude."""

import math
import random

import albumentations as A
import cv2
import numpy as np

from kcars.input.augment.lean_transforms import Affine, ColorJitter, change_of

LARGEST = 30


class RandAugment:
    """Applies `operations` different OPERATIONS in random order, as a transform of `lean_transforms.Chain`.

    Cubuk et al. 2019, arXiv 1909.13719. Magnitude 30 has the largest strengths of AutoAugment (Cubuk et al. 2018, arXiv
    1805.09501), as in torchvision; in the paper's code magnitude 10 has them, and it may draw an operation twice. Operations
    with two directions choose one at random.

    Raises:
        ValueError: if `operations` exceeds the number of operations or `magnitude` is outside 0 to 30.
    """

    def __init__(self, operations: int, magnitude: float, p: float):
        names = range(1, len(OPERATIONS) + 1)
        if not isinstance(operations, int) or operations not in names:
            raise ValueError(f"operations: {operations!r} is not a whole number from 1 to {len(names)}")
        if not isinstance(magnitude, (int, float)) or not 0 <= magnitude <= LARGEST:
            raise ValueError(f"magnitude: {magnitude!r} is not a number from 0 to {LARGEST}")
        self.operations, self.p = operations, p
        self._transforms = [make(magnitude / LARGEST) for make in OPERATIONS.values()]
        self._changes = [[change_of(transform) for transform in ways] for ways in self._transforms]

    def set_random_state(self, generator: np.random.Generator, py_random: random.Random) -> None:
        self._random = py_random
        for ways in self._transforms:
            for transform in ways:
                transform.set_random_state(generator, py_random)

    def should_apply(self) -> bool:
        return self._random.random() < self.p

    def changed(self, photo: np.ndarray) -> np.ndarray:
        """The photo (h, w, 3) uint8 after newly drawn operations; may be `photo` itself."""
        for ways in self._random.sample(self._changes, self.operations):
            photo = self._random.choice(ways)(photo)
        return photo


class AutoContrast(A.AutoContrast):
    """Stretches each channel to 0..255; `A.AutoContrast` 2.0.8 ignores the brightest pixels if they are white."""

    def changed(self, photo: np.ndarray) -> np.ndarray:
        """The photo (h, w, 3) uint8; constant channels are unchanged."""
        return cv2.merge([_stretched(channel) for channel in cv2.split(photo)])


def _stretched(channel: np.ndarray) -> np.ndarray:
    low, high, *_ = cv2.minMaxLoc(channel)
    return cv2.normalize(channel, None, 0, 255, cv2.NORM_MINMAX) if low < high else channel  # pyright: ignore[reportCallIssue, reportArgumentType]  A new array.


class Sharpness(A.ImageOnlyTransform):
    """`factor` times the photo plus 1 - `factor` times a smoothed one, as in Pillow: above 1 sharper, below softer.

    `A.Sharpen` 2.0.8 cannot soften, and its `gaussian` subtracts bytes, which turns small differences into large ones.
    """

    def __init__(self, factor: float):
        super().__init__(p=1)
        smooth = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
        self.kernel = (1 - factor) * smooth
        self.kernel[1, 1] += factor

    def changed(self, photo: np.ndarray) -> np.ndarray:
        return cv2.filter2D(photo, -1, self.kernel)


def _signed(make):
    """An operation in both directions: make(share), make(-share)."""
    return lambda share: (make(share), make(-share))


def _nothing(share: float) -> tuple:
    return (A.NoOp(p=1),)


def _jitter(kind, **changes) -> A.ColorJitter:
    return kind(**{"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0} | changes, p=1)


def _factor(share: float) -> tuple[float, float]:
    factor = 1 + 0.9 * share
    return factor, factor


def _sheared(**degrees: float) -> A.Affine:
    return Affine(shear={"x": (0, 0), "y": (0, 0)} | {axis: (by, by) for axis, by in degrees.items()}, p=1)


def _moved(**shares: float) -> A.Affine:
    return Affine(translate_percent={"x": (0, 0), "y": (0, 0)} | {axis: (by, by) for axis, by in shares.items()}, p=1)


def _angle(share: float) -> float:
    return math.degrees(math.atan(0.3 * share))


def _posterized(share: float) -> tuple:
    bits = 8 - round(4 * share)
    return (A.Posterize(num_bits=bits, p=1),) if bits < 8 else _nothing(share)


def _solarized(share: float) -> tuple:
    return (A.Solarize(threshold_range=(1 - share, 1 - share), p=1),) if share else _nothing(share)


# Name -> function from the magnitude as a share of the largest to the possible transforms.
OPERATIONS = {
    "identity": _nothing,
    "autocontrast": lambda share: (AutoContrast(p=1),),
    "equalize": lambda share: (A.Equalize(p=1),),
    "rotate": _signed(lambda share: Affine(rotate=(30 * share, 30 * share), p=1)),
    "solarize": _solarized,
    "colour": _signed(lambda share: _jitter(ColorJitter, saturation=_factor(share))),
    "posterize": _posterized,
    "contrast": _signed(lambda share: _jitter(A.ColorJitter, contrast=_factor(share))),
    "brightness": _signed(lambda share: _jitter(A.ColorJitter, brightness=_factor(share))),
    "sharpness": _signed(lambda share: Sharpness(1 + 0.9 * share)),
    "shear_x": _signed(lambda share: _sheared(x=_angle(share))),
    "shear_y": _signed(lambda share: _sheared(y=_angle(share))),
    "translate_x": _signed(lambda share: _moved(x=150 / 331 * share)),
    "translate_y": _signed(lambda share: _moved(y=150 / 331 * share)),
}
