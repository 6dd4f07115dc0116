import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.data.readers import compcars
from kcars.images import pixel_store as module
from kcars.images.pixel_store import Decoded, InMemory, OnDisk, open_store, store_bytes, store_file
from kcars.settings import DataSettings

DATA = DataSettings(size_px=32)


@pytest.fixture
def index(tree):
    return compcars.read(tree.root, "classify").table


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
    with pytest.raises(KcarsError, match="not a photo"):
        open_store(index, DATA, progress=False)
    file = store_file(index, DATA)
    assert [name for name in os.listdir(file.parent) if name.startswith(file.stem) and not name.endswith(".lock")] == []


def test_every_bad_photo_is_counted_and_the_first_are_named(index):
    for row in (2, 5):
        (index.root / index.paths[row]).write_bytes(b"no photo")
    with pytest.raises(KcarsError, match=rf"2 of 24 photos are bad.*{index.paths[2]}.*{index.paths[5]}"):
        open_store(index, DATA, progress=False)


def test_skipped_photos_are_told_and_a_later_stop_stops(index):
    (index.root / index.paths[5]).write_bytes(b"no photo")
    skip = DATA.model_copy(update={"on_bad_photo": "skip"})
    assert open_store(index, skip, progress=False).bad.tolist() == [5]
    for cache in ("disk", "memory"):
        opened = open_store(index, skip.model_copy(update={"cache": cache}), progress=False)
        assert opened.bad.tolist() == [5]
        assert not opened.read(np.array([5])).any()
        assert opened.read(np.array([4])).any()
    with pytest.raises(KcarsError, match="1 of 24 photos are bad.*not a photo"):
        open_store(index, DATA, progress=False)


def test_a_store_that_was_cut_short_is_told(index):
    store = open_store(index, DATA, progress=False)
    os.truncate(store.file, 100)
    with pytest.raises(KcarsError, match="ends too early; delete it"):
        store.read(np.array([0]))


def test_the_store_read_longest_ago_makes_room(index, monkeypatch, tmp_path):
    monkeypatch.setenv("KCARS_CACHE", str(tmp_path / "own"))
    sizes = [DATA.model_copy(update={"size_px": size}) for size in (32, 33, 34)]
    files = [open_store(index, data, progress=False).file for data in sizes[:2]]
    os.utime(files[1], (1, 1))
    monkeypatch.setenv("KCARS_CACHE_GIB", str((files[0].stat().st_size + store_bytes(24, sizes[2])) / 2**30))
    third = open_store(index, sizes[2], progress=False)
    assert [file.is_file() for file in (*files, third.file)] == [True, False, True]
    for text in ("much", "nan", "-1"):
        monkeypatch.setenv("KCARS_CACHE_GIB", text)
        with pytest.raises(
            KcarsError, match=f"KCARS_CACHE_GIB: '{text}' is not a number of GiB; expected a number of at least 0"
        ):
            open_store(index, sizes[1], progress=False)
    assert files[0].is_file() and third.file.is_file()


def test_features_used_longest_ago_make_room_too(index, monkeypatch, tmp_path):
    monkeypatch.setenv("KCARS_CACHE", str(tmp_path / "own"))
    first = open_store(index, DATA.model_copy(update={"size_px": 32}), progress=False).file
    features = first.with_name("32px-0123.features")
    features.write_bytes(bytes(first.stat().st_size))
    os.utime(features, (1, 1))
    second = DATA.model_copy(update={"size_px": 33})
    monkeypatch.setenv("KCARS_CACHE_GIB", str((first.stat().st_size + store_bytes(24, second)) / 2**30))
    open_store(index, second, progress=False)
    assert first.is_file()
    assert not features.exists()


def test_no_room_is_said_before_anything_is_written(index, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(KcarsError, match="MiB are needed.*KCARS_CACHE"):
        open_store(index, DATA.model_copy(update={"size_px": 33}), progress=False)


def test_a_disk_that_fills_up_on_the_way_leaves_no_half_store(index, monkeypatch):
    written = []

    def full(handle, data, place):
        written.append(place)
        if len(written) > 10:
            raise OSError(28, "No space left on device")
        return len(data)

    monkeypatch.setattr(module.os, "pwrite", full)
    with pytest.raises(KcarsError, match=r"partial: cannot be written \(No space left on device\); free some space"):
        open_store(index, DATA, progress=False)
    file = store_file(index, DATA)
    assert [name for name in os.listdir(file.parent) if name.startswith(file.stem) and not name.endswith(".lock")] == []


def kill_after(photos: int, root) -> None:
    """Begin the store in a process of its own, that is killed when it has decoded so many."""
    program = (
        "import os; from pathlib import Path; from kcars.data.readers import compcars; from kcars.images import pixel_store as store;"
        "from kcars.settings import DataSettings; read, left = store.read_photo, [1]"
        f" * {photos}\n"
        "def counted(*given):\n"
        "    if not left: os.kill(os.getpid(), 9)\n"
        "    left.pop(); return read(*given)\n"
        "store.read_photo, store.joblib.cpu_count = counted, lambda: 1\n"
        f"i = compcars.read(Path({str(root)!r}), 'classify').table\n"
        "store.open_store(i, DataSettings(size_px=32), progress=False)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == -9


def test_a_build_that_was_killed_goes_on(index, tree, monkeypatch):
    kill_after(10, tree.root)
    file = store_file(index, DATA)
    assert file.with_suffix(".partial").is_file()
    assert not file.exists()
    each, decoded = store_bytes(1, DATA), []
    with open(file.with_suffix(".partial"), "r+b") as partial:  # As a machine that lost power may leave it.
        partial.seek(3 * each)
        partial.write(bytes(each))
    read = module.read_photo
    monkeypatch.setattr(module, "read_photo", lambda path, *rest: decoded.append(str(path)) or read(path, *rest))
    rows = np.arange(len(index))
    pixels = open_store(index, DATA, progress=False).read(rows)
    assert sorted(decoded) == sorted(str(index.root / index.paths[row]) for row in [3, *range(10, len(index))])
    assert (pixels == Decoded(index, DATA).read(rows)).all()
    assert not list(file.parent.glob(f"{file.stem}.partial*"))


def test_a_build_stopped_from_the_keyboard_leaves_what_it_has(index, monkeypatch):
    read, asked = module.read_photo, []

    def stop(*given):
        asked.append(given)
        if len(asked) > 10:
            raise KeyboardInterrupt
        return read(*given)

    monkeypatch.setattr(module, "read_photo", stop)
    with pytest.raises(KeyboardInterrupt):
        open_store(index, DATA, progress=False)
    file = store_file(index, DATA)
    assert file.with_suffix(".partial").is_file()
    monkeypatch.setattr(module, "read_photo", read)
    assert open_store(index, DATA, progress=False).file.is_file()


def test_half_a_store_that_none_went_on_with_makes_room(index, tree, monkeypatch, tmp_path):
    monkeypatch.setenv("KCARS_CACHE", str(tmp_path / "own"))
    kill_after(5, tree.root)
    half = store_file(index, DATA).with_suffix(".partial")
    monkeypatch.setenv("KCARS_CACHE_GIB", str(1.5 * half.stat().st_size / 2**30))
    other = DATA.model_copy(update={"size_px": 33})
    open_store(index, other, progress=False)
    assert half.is_file()  # It may be at work.
    store_file(index, other).unlink()
    os.utime(half, (1, 1))
    open_store(index, other, progress=False)
    assert not half.exists()
    assert not half.with_suffix(".partial-sums").exists()


def test_two_processes_build_one_store(tree):
    program = (
        "import sys, numpy as np; from pathlib import Path; from kcars.data.readers import compcars;"
        "from kcars.images.pixel_store import open_store; from kcars.settings import DataSettings;"
        f"i = compcars.read(Path({str(tree.root)!r}), 'classify').table;"
        "print(int(open_store(i, DataSettings(size_px=40), progress=False).read(np.arange(len(i))).sum()))"
    )
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) for _ in range(2)]
    sums = [int(process.communicate()[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sums[0] == sums[1] > 0
