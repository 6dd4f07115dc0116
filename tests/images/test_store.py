import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from kcars.data import compcars
from kcars.errors import KcarsError
from kcars.images import store as module
from kcars.images.store import Decoded, InMemory, OnDisk, open_store, store_file
from kcars.strategy import DataSettings

DATA = DataSettings(size_px=32)


@pytest.fixture
def index(tree):
    return compcars.read(tree.root, "classify").index


def test_disk_memory_and_off_give_the_same_pixels_in_the_order_asked_for(index):
    rows = np.array([3, 0, 3, 22])
    kinds = {"disk": OnDisk, "memory": InMemory, "off": Decoded}
    pixels = {}
    for cache, kind in kinds.items():
        opened = open_store(index, DATA.model_copy(update={"cache": cache}), progress=False)
        assert isinstance(opened, kind)
        pixels[cache] = opened.read(rows)
    assert pixels["disk"].shape == (4, 32, 32, 3)
    assert (pixels["disk"] == pixels["off"]).all()
    assert (pixels["memory"] == pixels["off"]).all()
    assert (pixels["disk"][0] == pixels["disk"][2]).all()


def test_a_second_opening_decodes_nothing(index, monkeypatch):
    open_store(index, DATA, progress=False)
    monkeypatch.setattr(module, "read_photo", None)
    assert open_store(index, DATA, progress=False).read(np.array([0])).any()


def test_the_key_follows_content_box_and_settings(index, tree):
    before = store_file(index, DATA)
    assert store_file(index, DATA.model_copy(update={"workers": 3})) == before
    assert store_file(index, DATA.model_copy(update={"padding": 0.2})) != before
    assert store_file(index, DATA.model_copy(update={"crop": "whole"})) != before
    path = index.root / index.paths[0]
    os.utime(path, ns=(1, 1))
    assert store_file(index, DATA) != before


def test_a_bad_photo_leaves_nothing_behind(index):
    (index.root / index.paths[5]).write_bytes(b"no photo")
    with pytest.raises(KcarsError, match="no photo"):
        open_store(index, DATA, progress=False)
    file = store_file(index, DATA)
    assert [name for name in os.listdir(file.parent) if name.startswith(file.stem) and not name.endswith(".lock")] == []


def test_no_room_is_said_before_anything_is_written(index, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(KcarsError, match="MiB are needed.*KCARS_CACHE"):
        open_store(index, DATA.model_copy(update={"size_px": 33}), progress=False)


def test_two_processes_build_one_store(tree):
    program = (
        "import sys, numpy as np; from pathlib import Path; from kcars.data import compcars;"
        "from kcars.images.store import open_store; from kcars.strategy import DataSettings;"
        f"i = compcars.read(Path({str(tree.root)!r}), 'classify').index;"
        "print(int(open_store(i, DataSettings(size_px=40), progress=False).read(np.arange(len(i))).sum()))"
    )
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) for _ in range(2)]
    sums = [int(process.communicate()[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sums[0] == sums[1] > 0
