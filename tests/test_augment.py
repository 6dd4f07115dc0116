import random
import threading

import albumentations as A
import cv2
import numpy as np
import pytest

from kcars.images.augment import OPERATIONS, Augment

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
    assert {part.split("(")[0].strip() for chain in CHAINS for part in chain.split("|")} == set(OPERATIONS)


def test_a_photo_depends_on_its_sample_alone():
    chain = next(iter(CHAINS))
    augment, given = Augment(chain, SEED), photos(40)
    samples = np.arange(40)
    whole = augment(given, samples)
    turned = augment(given[::-1], samples[::-1])[::-1]
    np.testing.assert_array_equal(turned, whole)
    parts = [None] * 4

    def work(part: int) -> None:
        parts[part] = augment(given[part::4], samples[part::4])

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for part in range(4):
        np.testing.assert_array_equal(parts[part], whole[part::4])
    assert (Augment(chain, SEED + 1)(given, samples) != whole).any()
