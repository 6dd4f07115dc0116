"""RandAugment's operations against Pillow, OpenCV and geometry; which are drawn, told by bits that each adds."""

import random

import albumentations as A
import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from kcars.input.augment import rand_augment
from kcars.input.augment.chain import Augment
from kcars.input.augment.lean_transforms import change_of
from kcars.input.augment.rand_augment import OPERATIONS

SMOOTH = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8), (5, 5), 0)
# Few values, white among them.
HARSH = np.array([0, 100, 255], np.uint8)[np.random.default_rng(1).integers(0, 3, (40, 60, 3))]


def applied(name: str, magnitude: float, photo: np.ndarray) -> list[np.ndarray]:
    """The photo after each of the operation's one or two directions."""
    found = []
    for transform in OPERATIONS[name](magnitude / 30):
        transform.set_random_state(np.random.default_rng(0), random.Random(0))  # noqa: S311
        found.append(change_of(transform)(photo))
    return found


def enhanced(kind, magnitude):
    return [lambda photo, sign=sign: kind(photo).enhance(1 + sign * 0.9 * magnitude / 30) for sign in (1, -1)]


@pytest.mark.parametrize("photo", [SMOOTH, HARSH], ids=["smooth", "harsh"])
@pytest.mark.parametrize(
    ("name", "magnitude", "oracles"),
    [
        ("autocontrast", 9, [ImageOps.autocontrast]),
        ("solarize", 9, [lambda photo: ImageOps.solarize(photo, 0.7 * 255)]),
        ("solarize", 30, [ImageOps.invert]),
        ("posterize", 9, [lambda photo: ImageOps.posterize(photo, 7)]),
        ("posterize", 30, [lambda photo: ImageOps.posterize(photo, 4)]),
        ("colour", 9, enhanced(ImageEnhance.Color, 9)),
        ("contrast", 20, enhanced(ImageEnhance.Contrast, 20)),
        ("brightness", 9, enhanced(ImageEnhance.Brightness, 9)),
        ("sharpness", 30, enhanced(ImageEnhance.Sharpness, 30)),
    ],
)
def test_colours_are_those_of_pillow_but_for_rounding(name, magnitude, oracles, photo):
    for found, oracle in zip(applied(name, magnitude, photo), oracles, strict=True):
        wanted = np.asarray(oracle(Image.fromarray(photo))).astype(int)
        inner = slice(1, -1)  # Pillow's sharpness leaves the outermost pixels as they are.
        # Pillow rounds the smooth photo before it is weighed.
        assert np.abs(found - wanted)[inner, inner].max() <= 1


def test_equalized_channels_are_those_of_opencv():
    (found,) = applied("equalize", 9, SMOOTH)
    assert (found == cv2.merge([cv2.equalizeHist(channel) for channel in cv2.split(SMOOTH)])).all()


@pytest.mark.parametrize(("name", "axis"), [("translate_y", 0), ("translate_x", 1)])
def test_moved_photos_leave_black_behind(name, axis):
    forth, back = applied(name, 30, SMOOTH)
    by = int(150 / 331 * SMOOTH.shape[axis])
    given, forth, back = (np.moveaxis(photo, axis, 0) for photo in (SMOOTH, forth, back))
    assert (forth[by:] == given[:-by]).all() and not forth[:by].any()
    assert (back[:-by] == given[by:]).all() and not back[-by:].any()


@pytest.mark.parametrize("name", ["shear_x", "shear_y"])
def test_a_sheared_line_leans_by_three_tenths(name):
    photo = np.zeros((101, 101, 3), np.uint8)
    photo[:, 49:52] = 255
    if name == "shear_y":
        photo = photo.transpose(1, 0, 2)
    slopes = []
    for found in applied(name, 30, photo):
        lines = found[..., 0].astype(float) if name == "shear_x" else found[..., 0].T.astype(float)
        middles = lines @ np.arange(101) / lines.sum(1)
        slopes.append(np.polyfit(np.arange(101), middles, 1)[0])
    assert sorted(slopes) == pytest.approx([-0.3, 0.3], abs=0.005)


def test_a_turned_cross_is_a_cross_at_thirty_degrees():
    photo = np.zeros((101, 101, 3), np.uint8)
    photo[50, :] = 255
    for found in applied("rotate", 30, photo):
        rows, columns = np.nonzero(found[..., 0] > 100)
        slope = np.polyfit(columns, rows, 1)[0]
        assert abs(slope) == pytest.approx(np.tan(np.radians(30)), abs=0.01)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"autocontrast", "equalize"}))
def test_magnitude_nought_changes_nothing(name):
    for found in applied(name, 0, HARSH):
        assert (found == HARSH).all()


class Adds(A.ImageOnlyTransform):
    def __init__(self, value: int):
        super().__init__(p=1)
        self.value = value

    def changed(self, photo):
        return photo + np.uint8(self.value)


def bits(chain: str, monkeypatch, photos: int = 800) -> np.ndarray:
    """(photos, 8): whether each of eight operations was applied to a black photo."""
    operations = {str(bit): lambda share, bit=bit: (Adds(1 << bit),) for bit in range(8)}
    monkeypatch.setattr(rand_augment, "OPERATIONS", operations)
    found = Augment(chain, 0)(np.zeros((photos, 1, 1, 3), np.uint8), np.arange(photos))
    return found[:, 0, 0, :1] >> np.arange(8) & 1


def test_different_operations_are_drawn_all_as_often(monkeypatch):
    found = bits("rand_augment(1, operations=3)", monkeypatch)
    assert (found.sum(1) == 3).all()  # One drawn twice would carry over.
    assert np.abs(found.mean(0) - 3 / 8).max() < 0.06  # 3.5 standard deviations of 800 draws.


def test_photos_are_changed_as_often_as_it_says(monkeypatch):
    found = bits("rand_augment(0.25)", monkeypatch)
    assert abs(found.any(1).mean() - 0.25) < 0.05


def test_both_directions_come():
    photos = np.full((300, 8, 8, 3), 100, np.uint8)
    out = Augment("rand_augment(1, operations=1, magnitude=10)", 0)(photos, np.arange(300))
    assert {70, 130} <= set(out[:, 4, 4, 0].tolist())  # Brightness of 0.7 and of 1.3.
