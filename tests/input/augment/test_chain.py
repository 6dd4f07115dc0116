import random
from concurrent.futures import ThreadPoolExecutor

import albumentations as A
import cv2
import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.input.augment.chain import OPERATIONS, Augment, parse

PHOTOS = np.random.default_rng(0).integers(0, 256, (64, 40, 40, 3), np.uint8)
SAMPLES = np.arange(64)
PAPER = (
    "flip(0.5) | brightness_contrast(0.2) | "
    "affine(0.3, scale=(0.9, 1.1), translate=0.05, rotate=10, shear_x=5, shear_y=2)"
)


def test_a_photo_depends_on_seed_and_sample_alone():
    augment = Augment(PAPER, seed=1)
    whole = augment(PHOTOS, SAMPLES)
    assert (augment(PHOTOS[10:20][::-1], SAMPLES[10:20][::-1])[::-1] == whole[10:20]).all()
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda k: augment(PHOTOS[k : k + 8], SAMPLES[k : k + 8]), range(0, 64, 8)))
    assert (np.concatenate(parts) == whole).all()
    assert (Augment(PAPER, seed=2)(PHOTOS, SAMPLES) != whole).any()
    assert (augment(PHOTOS, SAMPLES + 64) != whole).any()


def test_flip_happens_as_often_as_it_says_and_decisions_are_independent():
    photos = np.repeat(PHOTOS[:1], 2000, 0)
    samples = np.arange(2000)
    flipped = (Augment("flip(0.5)", 0)(photos, samples) == photos[:, :, ::-1]).all((1, 2, 3))
    assert 0.45 < flipped.mean() < 0.55
    both = Augment("flip(0.5) | grey(0.5)", 0)(photos, samples)
    grey = (both[..., 0] == both[..., 1]).all((1, 2))
    turned = (both[:, 0, 0] == photos[:, 0, -1]).all(1)
    # Of the photos left in colour, half are flipped: one decision does not follow the other.
    assert 0.4 < turned[~grey].mean() < 0.6


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_changes_photos_and_keeps_their_form(name):
    text = "affine(1, rotate=10)" if name == "affine" else f"{name}(1)"
    out = Augment(text, 0)(PHOTOS, SAMPLES)
    assert out.shape == PHOTOS.shape
    assert out.dtype == np.uint8
    assert (out != PHOTOS).any()


def test_an_empty_chain_changes_nothing():
    assert Augment("", 0)(PHOTOS, SAMPLES) is PHOTOS


def test_the_text_is_read_as_written():
    assert parse("flip(0.5) | affine(0.3, scale=(0.9, 1.1))") == [
        ("flip", [0.5], {}),
        ("affine", [0.3], {"scale": (0.9, 1.1)}),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "flip",
        "flip()",
        "flip(2)",
        "spin(0.5)",
        "flip(0.5, turn=1)",
        "__import__('os')",
        "flip(open('x'))",
        "flip(0.5",
        "affine(1, border='pink')",
        "affine(1, scale=3)",
        "crop(1, scale=3)",
        "crop(1, scale=(0.5, 2))",
        "crop(1, scale=(0.9, 0.5))",
        "crop(1, ratio=(0, 1))",
        "crop(1, ratio='wide')",
        "crop(1, size=32)",
        "rand_augment(1, operations=0)",
        "rand_augment(1, operations=15)",
        "rand_augment(1, operations=1.5)",
        "rand_augment(1, magnitude=31)",
        "rand_augment(1, magnitude='much')",
    ],
)
def test_anything_else_is_one_line(text):
    with pytest.raises(KcarsError, match="data.augment|border") as error:
        Augment(text, 0)
    assert "\n" not in str(error.value)


def test_photos_may_be_written_over():
    given = PHOTOS.copy()
    out = Augment(PAPER, 0)(given, SAMPLES, out=given)
    assert out is given and (out == Augment(PAPER, 0)(PHOTOS, SAMPLES)).all()


def test_a_wrong_value_says_which_and_in_which_setting():
    with pytest.raises(KcarsError) as error:
        Augment("crop(1, scale=(0.5, 2))", 0, "balance.augment")
    assert str(error.value).startswith("balance.augment: 'crop(1, scale=(0.5, 2))': scale: expected lowest <= highest")
    with pytest.raises(KcarsError, match="^balance.augment in 'spin"):
        Augment("spin(1)", 0, "balance.augment")


def test_chances_say_which_photos_a_chain_is_for():
    augment = Augment("brightness_contrast(1, brightness=0.9)", 1)
    all_of_them, chances = augment(PHOTOS, SAMPLES), np.repeat([0.0, 1.0], 32)
    some = augment(PHOTOS, SAMPLES, chances=chances)
    assert (some[:32] == PHOTOS[:32]).all() and (some[32:] == all_of_them[32:]).all()
    photos, samples = np.repeat(PHOTOS[:1], 2000, 0), np.arange(2000)
    changed = (augment(photos, samples, chances=np.full(2000, 0.3)) != photos).any((1, 2, 3))
    assert 0.26 < changed.mean() < 0.34


def test_two_settings_draw_on_their_own():
    """Of photos that the first setting's flip leaves alone, half are flipped by the second's."""
    photos, samples = np.repeat(PHOTOS[:1], 2000, 0), np.arange(2000)
    first, second = (
        (Augment("flip(0.5)", 0, setting)(photos, samples) == photos[:, :, ::-1]).all((1, 2, 3))
        for setting in ("data.augment", "balance.augment")
    )
    assert 0.45 < second[~first].mean() < 0.55


def test_a_crop_of_all_changes_nothing():
    assert (Augment("crop(1, scale=(1, 1), ratio=(1, 1))", 0)(PHOTOS, SAMPLES) == PHOTOS).all()


def test_a_crop_of_a_quarter_shows_half_of_the_columns_and_of_the_rows():
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8), (64, 64))
    photos = np.broadcast_to(np.stack([ramp, ramp.T, ramp], -1), (50, 64, 64, 3))
    out = Augment("crop(1, scale=(0.25, 0.25), ratio=(1, 1))", 0)(photos, np.arange(50)).astype(int)
    for channel, axis in ((0, 2), (1, 1)):
        shown = out[..., channel]
        assert (shown.max((1, 2)) - shown.min((1, 2)) == 31).all()
        assert (np.diff(shown, axis=axis) >= 0).all()
    lefts = out[:, 0, 0, 0]
    assert lefts.min() < 6 and lefts.max() > 26  # It begins anywhere in 0 to 32.


def test_a_crop_has_the_ratio_that_it_is_given():
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8), (64, 64))
    photos = np.broadcast_to(np.stack([ramp, ramp.T, ramp], -1), (50, 64, 64, 3))
    out = Augment("crop(1, scale=(0.25, 0.25), ratio=(4, 4))", 0)(photos, np.arange(50)).astype(int)
    columns, rows = np.ptp(out[..., 0], (1, 2)) + 1, np.ptp(out[..., 1], (1, 2)) + 1
    assert set(columns) == {64} and set(rows) == {16}


SEED = 3


def photos(count: int, height: int = 33, width: int = 64) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)
    return np.stack([cv2.GaussianBlur(photo, (5, 5), 0) for photo in noise])


CHAINS = {
    "flip(0.5) | brightness_contrast(0.6) | affine(0.7, scale=(0.8, 1.3), translate=0.1, rotate=10, shear_x=5, shear_y=2)": [
        A.HorizontalFlip(p=0.5),
        A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=0.6),
        A.Affine(
            scale=(0.8, 1.3),
            keep_ratio=True,
            translate_percent=(-0.1, 0.1),
            rotate=(-10, 10),
            shear={"x": (-5, 5), "y": (-2, 2)},
            p=0.7,
        ),
    ],
    "stretch(0.8, aspect=1.3) | brightness_contrast(1, brightness=0.9, contrast=0.9)": [
        A.Affine(scale={"x": (1 / 1.3, 1.3), "y": 1.0}, border_mode=cv2.BORDER_REPLICATE, p=0.8),
        A.RandomBrightnessContrast(brightness_limit=0.9, contrast_limit=0.9, p=1),
    ],
    "affine(1, rotate=45, border='reflect') | colour(0.5) | shuffle_channels(0.5) | affine(0) | grey(0.3) | erase(0.5)": [
        A.Affine(rotate=(-45, 45), keep_ratio=True, translate_percent=(0, 0), border_mode=cv2.BORDER_REFLECT_101, p=1),
        A.ColorJitter(brightness=0, contrast=0, saturation=0.3, hue=0.05, p=0.5),
        A.ChannelShuffle(p=0.5),
        A.ToGray(p=0.3),
        A.Erasing(scale=(0.02, 0.2), ratio=(0.3, 3.3), fill=0, p=0.5),
    ],
    "crop(0.7) | flip(0.5) | crop(0.5, scale=(0.1, 0.3), ratio=(0.3, 3))": [
        A.RandomResizedCrop(size=(33, 64), scale=(0.5, 1.0), ratio=(0.75, 1.333), p=0.7),
        A.HorizontalFlip(p=0.5),
        A.RandomResizedCrop(size=(33, 64), scale=(0.1, 0.3), ratio=(0.3, 3), p=0.5),
    ],
}


def composed(chain: str, given: np.ndarray, samples: np.ndarray) -> np.ndarray:
    compose, out = A.Compose(CHAINS[chain]), []
    for photo, sample in zip(given, samples, strict=True):
        key = (SEED << 64) | int(sample)
        compose.set_random_state(np.random.Generator(np.random.Philox(key=key)), random.Random(key))  # noqa: S311
        out.append(compose(image=photo)["image"])
    return np.array(out)


@pytest.mark.parametrize("chain", CHAINS)
def test_pixels_are_those_of_albumentations_own_compose(chain):
    given, samples = photos(200), np.arange(200) * 7
    wanted = composed(chain, given, samples)
    before = given.copy()
    np.testing.assert_array_equal(Augment(chain, SEED)(given, samples), wanted)
    np.testing.assert_array_equal(given, before)  # Only `out` is written.
    Augment(chain, SEED)(given, samples, out=given)
    np.testing.assert_array_equal(given, wanted)


def test_at_the_end_of_an_odd_row_hues_are_those_of_compose_but_for_rounding():
    (chain,) = [chain for chain in CHAINS if "colour" in chain]
    given, samples = photos(200, width=47), np.arange(200)
    got = Augment(chain, SEED)(given, samples)
    assert np.abs(got.astype(int) - composed(chain, given, samples)).max() <= 2


def test_chains_between_them_hold_every_operation():
    held = {part.split("(")[0].strip() for chain in CHAINS for part in chain.split("|")}
    assert held | {"rand_augment"} == set(OPERATIONS)  # Which albumentations has not.
