"""The file of features: what is appended is read back, and what is incomplete or damaged is missing."""

import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.models.feature_file import FeatureFile, photo_key

SHAPE = (2, 3)
KEYS = [photo_key(np.full((4, 4, 3), value, np.uint8)) for value in range(5)]
FEATURES = np.arange(30, dtype=np.float32).reshape(5, *SHAPE)


@pytest.fixture
def filled(tmp_path):
    file = FeatureFile(tmp_path / "a.features", SHAPE)
    file.append(KEYS[:2], FEATURES[:2])
    file.append(KEYS[2:4], FEATURES[2:4])
    return file


def test_features_are_read_back_by_key_in_any_order(filled):
    for file in (filled, FeatureFile(filled.path, SHAPE)):
        assert np.array_equal(file.read([KEYS[3], KEYS[0], KEYS[3]]), FEATURES[[3, 0, 3]])
        assert file.missing(KEYS) == [4]


def test_a_photo_that_comes_twice_is_missing_once(filled):
    assert filled.missing([KEYS[4], KEYS[1], KEYS[4]]) == [0]


@pytest.mark.parametrize("cut", [1, 20, 43])
def test_an_incomplete_record_is_missing_and_written_again(filled, cut):
    content = filled.path.read_bytes()
    filled.path.write_bytes(content[:-cut])
    file = FeatureFile(filled.path, SHAPE)
    assert file.missing(KEYS) == [3, 4]
    file.append(KEYS[3:], FEATURES[3:])
    assert np.array_equal(FeatureFile(filled.path, SHAPE).read(KEYS), FEATURES)


@pytest.mark.parametrize("place", [0, 15, 16, 39, 40, 43])
def test_a_damaged_record_is_missing_and_written_again(filled, place):
    content = bytearray(filled.path.read_bytes())
    assert len(content) == 4 * 44
    content[44 + place] ^= 1
    filled.path.write_bytes(content)
    file = FeatureFile(filled.path, SHAPE)
    assert file.missing(KEYS[:4]) == [1]
    file.append(KEYS[1:2], FEATURES[1:2])
    assert np.array_equal(FeatureFile(filled.path, SHAPE).read(KEYS[:4]), FEATURES[:4])


def test_damage_after_the_file_was_opened_is_reported(filled):
    content = bytearray(filled.path.read_bytes())
    content[20] ^= 1
    filled.path.write_bytes(content)
    with pytest.raises(KcarsError, match=r"a\.features: is damaged; delete it"):
        filled.read(KEYS[:1])


def test_deletion_after_the_file_was_opened_is_reported(filled):
    filled.path.unlink()
    with pytest.raises(KcarsError, match=r"a\.features: was deleted meanwhile"):
        filled.read(KEYS[:1])


def test_photos_of_other_pixels_or_shape_have_other_keys():
    pixels = np.zeros((2, 2, 3), np.uint8)
    other = pixels.copy()
    other[1, 1, 2] = 1
    assert photo_key(pixels) != photo_key(other)
    assert photo_key(pixels) == photo_key(pixels[::-1])
