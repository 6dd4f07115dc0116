import json
import os
from pathlib import Path

import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.core.files import (
    cache_folder,
    cache_place,
    fingerprint,
    writable_folder,
    write_json,
    write_text,
    written_whole,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_whole(path) as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_json_has_no_nan_and_plain_numbers(tmp_path):
    write_json(tmp_path / "a.json", {"a": float("nan"), "b": np.float32(0.5), "c": [np.int64(3), float("inf")]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": None, "b": 0.5, "c": [3, None]}


def test_fingerprint_tells_parts_apart():
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_unwritable_folder_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(KcarsError, match="cannot be written"):
        writable_folder(tmp_path / "file" / "below", "--out")
    monkeypatch.setenv("KCARS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(KcarsError, match="KCARS_CACHE"):
        cache_folder()


def test_the_cache_folder_may_be_named_by_the_users_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/of/somebody")
    monkeypatch.setenv("KCARS_CACHE", "~/cars")
    assert cache_place() == Path("/home/of/somebody/cars")


def test_what_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(KcarsError, match=r"a\.txt: cannot be written \(No such file"):
        write_text(tmp_path / "none" / "a.txt", "text")
