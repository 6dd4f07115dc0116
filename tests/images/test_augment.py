from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kcars.errors import KcarsError
from kcars.images.augment import OPERATIONS, Augment, parse

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
