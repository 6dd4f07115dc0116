"""Files of hundreds of gigabytes that take no place on the disk: none is read to its end."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from support.compcars_tree import write_photo

from kcars.core.errors import KcarsError
from kcars.data.readers import compcars
from kcars.images import video
from kcars.runs.checkpoint import load_best
from kcars.runs.provenance import WHOLE, photo_keys
from kcars.settings import DataSettings
from kcars.untrusted.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("hangs_never")

LARGE = 300 * 2**30


def enlarge(path, size: int = LARGE) -> None:
    os.truncate(path, size)


def test_large_photos_of_one_name_are_not_compared(tree):
    for model in (5, 9):
        write_photo(tree.root / f"image/3/{model}/2010/large.jpg")
        enlarge(tree.root / f"image/3/{model}/2010/large.jpg")
    found = compcars.read(tree.root, "classify", DataSettings(size_px=32, split="all"))
    rows = np.flatnonzero(found.table.bytes == LARGE)
    assert len(rows) == 2
    assert np.isin(rows, found.train).sum() != 1  # They count as one photo, which is on one side.


def test_a_large_photo_is_told_by_its_size(tmp_path):
    write_photo(tmp_path / "0.jpg")
    write_photo(tmp_path / "1.jpg")
    enlarge(tmp_path / "1.jpg")
    photos = SimpleNamespace(root=tmp_path, paths=np.array(["0.jpg", "1.jpg"], object))
    small, large = photo_keys(photos, np.arange(2))
    assert large == f"{WHOLE}{LARGE} bytes"
    assert len(small) == len(WHOLE) + 32


def test_large_weights_of_a_run_are_not_read(tmp_path):
    (tmp_path / "best.weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    enlarge(tmp_path / "best.weights.h5")
    with pytest.raises(KcarsError, match=r"has 322,122,547,200 bytes; at most .* are read; kcars train --resume"):
        load_best(None, tmp_path / "best.weights.h5")


def test_a_large_file_is_replaced_unread(tmp_path):
    (tmp_path / "metric.npz").touch()
    enlarge(tmp_path / "metric.npz")
    RunFolder(tmp_path).write_bytes("metric.npz", b"new")
    assert RunFolder(tmp_path).read_bytes("metric.npz", 100) == b"new"


def test_zeros_behind_the_pictures_of_a_run_end_them(tmp_path):
    import tensorflow as tf

    from kcars.training.tensorboard.board import _pictures

    event = tf.compat.v1.Event(step=1)
    picture = event.summary.value.add()
    picture.tag, picture.metadata.plugin_data.plugin_name = "photos", "images"
    with tf.io.TFRecordWriter(str(tmp_path / "events")) as writer:
        writer.write(event.SerializeToString())
    enlarge(tmp_path / "events")  # Zeros are records of nothing with a wrong checksum.
    assert [(step, value.tag) for step, value in _pictures([tmp_path / "events"])] == [(1, "photos")]


def test_zeros_behind_a_video_end_it(tmp_path, monkeypatch):
    """FFmpeg looks for the next frame of an AVI file in all of them; OpenCV ends a try after 30 seconds, and there were a thousand tries."""
    import cv2

    class Capture:
        """Five frames, and then none."""

        def __init__(self, place):
            self.tries, self._capture = 0, cv2.VideoCapture(place, cv2.CAP_FFMPEG)

        def __getattr__(self, name):
            return getattr(self._capture, name)

        def grab(self):
            self.tries += 1
            assert self.tries < 7
            return self.tries < 6 and self._capture.grab()

    monkeypatch.setattr(video, "_capture", Capture)
    monkeypatch.setattr(video, "STALLED_SECONDS", -1)  # Any failure takes longer.
    writer = cv2.VideoWriter(str(tmp_path / "a.mkv"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 64))
    for number in range(5):
        writer.write(np.full((64, 64, 3), 40 * number, np.uint8))
    writer.release()
    found = []
    with pytest.raises(KcarsError, match=r"a\.mkv: nothing can be decoded for -1 s behind frame 5; what follows"):
        found.extend(video.frames(tmp_path / "a.mkv", 0.01))
    assert len(found) == 5
