"""What lies in the place of a file of features in the cache folder: links, pipes, folders, and sizes that no disk holds."""

import os

import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.models.feature_file import FeatureFile, photo_key

pytestmark = pytest.mark.usefixtures("hangs_never")

SHAPE = (2, 3)
KEYS, FEATURES = [photo_key(np.zeros((2, 2, 3), np.uint8))], np.ones((1, *SHAPE), np.float32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.features"


def test_a_link_is_not_written_through(path, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear Ada")
    path.symlink_to(tmp_path / "letter.txt")
    with pytest.raises(KcarsError, match=r"a\.features: is a link, which is not followed"):
        FeatureFile(path, SHAPE)
    path.unlink()
    path.symlink_to(tmp_path / "missing")
    with pytest.raises(KcarsError, match=r"a\.features: is a link, which is not followed"):
        FeatureFile(path, SHAPE)
    assert (tmp_path / "letter.txt").read_text() == "Dear Ada"
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize(("make", "kind"), [(os.mkfifo, "a named pipe"), (os.mkdir, "a folder")])
def test_only_a_regular_file_is_read(path, make, kind):
    make(path)
    with pytest.raises(KcarsError, match=rf"a\.features: is {kind}; expected a regular file"):
        FeatureFile(path, SHAPE)


def test_a_file_of_hundreds_of_gigabytes_is_not_read(path):
    FeatureFile(path, SHAPE).append(KEYS, FEATURES)
    os.truncate(path, 300 * 2**30)
    with pytest.raises(KcarsError, match=r"a\.features: has 322,122,547,200 bytes; at most .* are read"):
        FeatureFile(path, SHAPE)
    os.truncate(path, 44)
    assert (FeatureFile(path, SHAPE).read(KEYS) == FEATURES).all()
