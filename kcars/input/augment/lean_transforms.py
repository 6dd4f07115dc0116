"""Faster transforms of albumentations for single uint8 photos, with the same draws and pixels in less than half the time.

Pixels are identical to `A.Compose`'s, except for the rounding of hues (`ColorJitter`).

For a small photo albumentations spends more time on checks and on support of masks, boxes and other image types than on
pixels. A method `changed` here combines the parent's `get_params_dependent_on_data` and `apply`.
"""

import math
import random
from collections.abc import Callable
from functools import partial

import albumentations as A
import cv2
import numpy as np
from albucore import sz_lut
from albumentations.augmentations.pixel.functional import adjust_saturation_torchvision

_BYTES = np.arange(256, dtype=np.float32)
_HUES = (np.arange(2 * 256) % 180).astype(np.uint8)  # Hues of OpenCV, in steps of two degrees.


class Chain:
    """A sequence of transforms, applied to an image as by `A.Compose`. Not thread-safe."""

    def __init__(self, transforms: list):
        self._steps = [(transform.should_apply, change_of(transform)) for transform in transforms]
        self._bits, self._py_random = np.random.Philox(key=0), random.Random()  # noqa: S311
        self._state = self._bits.state
        generator = np.random.Generator(self._bits)
        for transform in transforms:
            transform.set_random_state(generator, self._py_random)

    def __call__(self, photo: np.ndarray, key: int, chance: float = 1.0) -> np.ndarray:
        """The transformed photo (h, w, 3) uint8, which may be `photo` itself; draws depend only on the 128 bits of `key`.

        chance: probability of applying the chain.
        """
        # Setting a new key takes a seventh of the time of creating a generator.
        self._state["state"]["key"][:] = key & (2**64 - 1), key >> 64
        self._bits.state = self._state
        self._py_random.seed(key)
        if self._py_random.random() >= chance:
            return photo
        for applies, change in self._steps:
            if applies():
                photo = change(photo)
        return photo


def change_of(transform) -> Callable[[np.ndarray], np.ndarray]:
    """The function of a transform on a photo (h, w, 3) uint8: its `changed`, or what `A.Compose` would do."""
    return getattr(transform, "changed", partial(_change_as_compose_does, transform))


def _change_as_compose_does(transform: A.BasicTransform, photo: np.ndarray) -> np.ndarray:
    data = {"image": photo}
    params = transform.update_transform_params(transform.get_params(), data)
    return transform.apply(photo, **params | transform.get_params_dependent_on_data(params, data))


class Affine(A.Affine):
    """`A.Affine` that computes only the matrix of the pixels."""

    def changed(self, photo: np.ndarray) -> np.ndarray:
        """The photo (h, w, 3) uint8, scaled, rotated, sheared and shifted by newly drawn amounts."""
        (height, width), draw = photo.shape[:2], self.py_random.uniform
        move = self._get_translate_params((height, width))
        along_x = math.tan(math.radians(-draw(*self.shear["x"])))
        along_y = math.tan(math.radians(-draw(*self.shear["y"])))
        scale = self._get_scale(self.scale, self.keep_ratio, self.balanced_scale, self.py_random)
        angle = math.radians(draw(*self.rotate) % 360)
        cos, sin = math.cos(angle), math.sin(angle)
        # Shear times rotation times scale, about the centre.
        a, b = (cos - along_x * sin) * scale["x"], (sin + along_x * cos) * scale["y"]
        c, d = (along_y * cos - sin) * scale["x"], (along_y * sin + cos) * scale["y"]
        x, y = (width - 1) / 2, (height - 1) / 2
        matrix = np.array([[a, b, move["x"] + x - a * x - b * y], [c, d, move["y"] + y - c * x - d * y]])
        return cv2.warpAffine(photo, matrix, (width, height), None, self.interpolation, self.border_mode, self.fill)


class RandomBrightnessContrast(A.RandomBrightnessContrast):
    """`A.RandomBrightnessContrast` with a lookup table of 256 bytes, for uint8 only."""

    def changed(self, photo: np.ndarray) -> np.ndarray:
        """The photo (h, w, 3) uint8 with newly drawn contrast and brightness."""
        contrast = 1.0 + self.py_random.uniform(*self.contrast_limit)
        brightness = self.py_random.uniform(*self.brightness_limit) * 255
        return sz_lut(photo, (_BYTES * contrast + brightness).clip(0, 255).astype(np.uint8), inplace=False)


class ColorJitter(A.ColorJitter):
    """`A.ColorJitter` of saturation and hue, applied to the photo as one long row.

    OpenCV converts hues eight times as slowly at the end of a row that does not fill whole registers, with other rounding.
    """

    def changed(self, photo: np.ndarray) -> np.ndarray:
        """The photo (h, w, 3) uint8 with newly drawn saturation and hue."""
        drawn, row = self.get_params(), photo.reshape(1, -1, 3)
        for number in drawn["order"]:  # Brightness and contrast are unchanged; 2 and 3 are saturation and hue.
            if number == 2:
                row = adjust_saturation_torchvision(row, drawn["saturation"])
            elif number == 3 and drawn["hue"] != 0:
                row = cv2.cvtColor(row, cv2.COLOR_RGB2HSV)
                turned = _HUES[math.floor(180 * drawn["hue"]) % 180 :][:256]
                cv2.insertChannel(sz_lut(cv2.extractChannel(row, 0), turned, inplace=True), row, 0)
                row = cv2.cvtColor(row, cv2.COLOR_HSV2RGB)
        return row.reshape(photo.shape)


class Erasing(A.Erasing):
    """`A.Erasing` with a constant fill value, and no generator for random fill."""

    def apply(self, img: np.ndarray, holes: np.ndarray, **params) -> np.ndarray:
        img = img.copy()
        for left, top, right, bottom in holes.tolist():
            img[top:bottom, left:right] = self.fill
        return img


class RandomResizedCrop(A.RandomResizedCrop):
    """`A.RandomResizedCrop` to the original size of the photo."""

    def changed(self, photo: np.ndarray) -> np.ndarray:
        """A newly drawn part of the photo, resized to (h, w, 3) uint8."""
        place = self.get_params_dependent_on_data({"shape": photo.shape}, {})
        left, top, right, bottom = place["crop_coords"]
        return cv2.resize(photo[top:bottom, left:right], photo.shape[1::-1], interpolation=self.interpolation)
