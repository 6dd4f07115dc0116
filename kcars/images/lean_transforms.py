"""albumentations for one photo of bytes: its transforms, draws and pixels, bit for bit, in half of the time.

For a small photo albumentations spends more on what masks, boxes and other types of images may need, and on checks, than on
the pixels.
"""

import math
import random

import albumentations as A
import cv2
import numpy as np
from albucore import sz_lut
from albumentations.augmentations.pixel.functional import adjust_saturation_torchvision

_BYTES = np.arange(256, dtype=np.float32)
_HUES = (np.arange(2 * 256) % 180).astype(np.uint8)  # OpenCV's, in steps of two degrees.


class Chain:
    """Transforms one after another, as `A.Compose` applies them to an image alone. Not for two threads at once."""

    def __init__(self, transforms: list[A.BasicTransform]):
        self._transforms = transforms
        self._bits, self._py_random = np.random.Philox(key=0), random.Random()  # noqa: S311
        self._state = self._bits.state
        generator = np.random.Generator(self._bits)
        for transform in transforms:
            transform.set_random_state(generator, self._py_random)

    def __call__(self, photo: np.ndarray, key: int) -> np.ndarray:
        """The (h, w, 3) uint8 photo, changed by draws that depend on the 128 bits of `key` alone; it may be `photo` itself."""
        # To give one generator a new key takes a seventh of the time of a new generator.
        self._state["state"]["key"][:] = key & (2**64 - 1), key >> 64
        self._bits.state = self._state
        self._py_random.seed(key)
        self._py_random.random()  # Compose's own, whether the chain is applied at all.
        for transform in self._transforms:
            if transform.should_apply():
                data = {"image": photo}
                params = transform.update_transform_params(transform.get_params(), data)
                params.update(transform.get_params_dependent_on_data(params, data))
                photo = transform.apply(photo, **params)
        return photo


class Affine(A.Affine):
    """`A.Affine` with one matrix, that of the pixels, multiplied out."""

    def get_params_dependent_on_data(self, params: dict, data: dict) -> dict:
        height, width = params["shape"][:2]
        move, shear = self._get_translate_params((height, width)), self._get_shear_params()
        scale = self._get_scale(self.scale, self.keep_ratio, self.balanced_scale, self.py_random)
        angle = math.radians(self.py_random.uniform(*self.rotate) % 360)
        cos, sin = math.cos(angle), math.sin(angle)
        along_x, along_y = math.tan(math.radians(shear["x"])), math.tan(math.radians(shear["y"]))
        # Shear times rotation times scale, about the centre.
        a, b = (cos - along_x * sin) * scale["x"], (sin + along_x * cos) * scale["y"]
        c, d = (along_y * cos - sin) * scale["x"], (along_y * sin + cos) * scale["y"]
        x, y = (width - 1) / 2, (height - 1) / 2
        return {"matrix": np.array([[a, b, move["x"] + x - a * x - b * y], [c, d, move["y"] + y - c * x - d * y]])}

    def apply(self, img: np.ndarray, matrix: np.ndarray, **params) -> np.ndarray:
        size = img.shape[1::-1]
        return cv2.warpAffine(
            img, matrix, size, flags=self.interpolation, borderMode=self.border_mode, borderValue=self.fill
        )


class RandomBrightnessContrast(A.RandomBrightnessContrast):
    """`A.RandomBrightnessContrast` with a table of 256 bytes, whatever the photo's type could be."""

    def apply(self, img: np.ndarray, alpha: float, beta: float, **params) -> np.ndarray:
        return sz_lut(img, (_BYTES * alpha + beta).clip(0, 255).astype(np.uint8), inplace=False)


class ColorJitter(A.ColorJitter):
    """`A.ColorJitter` of saturation and hue, on the photo as one long row.

    OpenCV converts hues eight times as slowly at the end of a row that no whole registers fill, and rounds them otherwise.
    """

    def apply(self, img: np.ndarray, saturation: float, hue: float, order: list[int], **params) -> np.ndarray:
        row = img.reshape(1, -1, 3)
        for number in order:  # Of brightness and contrast, which stay, saturation and hue.
            if number == 2:
                row = adjust_saturation_torchvision(row, saturation)
            elif number == 3 and hue != 0:
                row = cv2.cvtColor(row, cv2.COLOR_RGB2HSV)
                turned = _HUES[math.floor(180 * hue) % 180 :][:256]
                cv2.insertChannel(sz_lut(cv2.extractChannel(row, 0), turned, inplace=True), row, 0)
                row = cv2.cvtColor(row, cv2.COLOR_HSV2RGB)
        return row.reshape(img.shape)


class Erasing(A.Erasing):
    """`A.Erasing` with one number to fill in, and no generator for what could be filled in instead."""

    def apply(self, img: np.ndarray, holes: np.ndarray, **params) -> np.ndarray:
        img = img.copy()
        for left, top, right, bottom in holes:
            img[top:bottom, left:right] = self.fill
        return img
