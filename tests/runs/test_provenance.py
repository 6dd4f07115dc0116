"""Which photos a run has learned from: the same files alone, wherever they lie; runs of earlier versions stay usable."""

import hashlib
import os
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcars.runs import provenance
from kcars.runs.provenance import Learned, photo_keys

EXAMPLES = int(os.environ.get("KCARS_EXAMPLES", "60"))
END = bytes(5000)  # Cameras and editors pad files with zeros.


def index(root, contents):
    names = [f"{number}.jpg" for number in range(len(contents))]
    for name, content in zip(names, contents, strict=True):
        (root / name).write_bytes(content)
    return SimpleNamespace(root=root, paths=np.array(names, object))


def old_key(content: bytes) -> str:
    """As kcars up to 1.0 wrote it."""
    return hashlib.blake2b(content[-4096:] + str(len(content)).encode(), digest_size=8).hexdigest()


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.binary(max_size=6), min_size=2, max_size=5))
def test_keys_are_equal_for_equal_files_alone(tmp_path_factory, beginnings):
    photos = index(tmp_path_factory.mktemp("photos"), [begin.ljust(6) + END for begin in beginnings])
    keys = photo_keys(photos, np.arange(len(beginnings)))
    for one, left in zip(keys, beginnings, strict=True):
        for other, right in zip(keys, beginnings, strict=True):
            assert (one == other) == (left.ljust(6) == right.ljust(6))


def test_padded_photos_are_not_taken_for_the_same(tmp_path):
    photos = index(tmp_path, [b"one" + END, b"two" + END])
    known = Learned(frozenset(photo_keys(photos, np.array([0]))), frozenset(), frozenset())
    assert known.seen(photos, np.arange(2)).tolist() == [True, False]
    assert known.seen(photos, np.arange(2), trained=True).tolist() == [False, False]
    assert known.caution == ""


@pytest.mark.parametrize("mixed", [False, True])
def test_what_an_earlier_version_noted_is_found(tmp_path, mixed):
    photos = index(tmp_path, [b"one", b"two" + END, b"new"])
    keys = {old_key(b"one"), photo_keys(photos, np.array([1]))[0] if mixed else old_key(b"two" + END)}
    known = Learned(frozenset(keys), frozenset(keys), frozenset())
    assert known.seen(photos, np.arange(3)).tolist() == [True, True, False]
    assert "only by size and last bytes" in known.caution


def test_keys_fit_the_table():
    from kcars.schemas.tables import LearnedPhotos

    LearnedPhotos(path=["a"], key=[provenance.WHOLE + "0" * 32], make=["a"], model=["b"], use=["train"])
