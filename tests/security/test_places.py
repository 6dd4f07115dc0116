"""Places that no file can be at: names that are too long, links in a circle, names that libraries cannot take."""

import os
import shutil

import numpy as np
import pytest
from support.compcars_tree import write_photo
from support.hostile_names import assert_shown, run

from kcars.core.errors import KcarsError
from kcars.core.files import refuse_filled
from kcars.inference.photo_source import Photo, count_of, frames, in_boxes, photos_of, read_boxes

LONG = "n" * 300


@pytest.fixture
def circle(tmp_path):
    """A link to itself."""
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    return tmp_path / "circle.jpg"


COMMANDS = [
    ["data", "stats", "--data", "{}"],
    ["data", "check", "--data", "{}"],
    ["data", "init", "{}"],
    ["data", "sample", "{}"],
    ["data", "synth", "{}"],
    ["train", "--task", "classify", "--data", "{}"],
    ["train", "--resume", "{}"],
    ["evaluate", "{}"],
    ["evaluate", "{}", "--on", "{}"],
    ["explain", "{}", "{}.jpg", "--out", "{}.png"],
    ["export", "{}"],
    ["table", "{}"],
    ["report", "{}"],
    ["predict", "{}.mp4", "--model", "{}"],
    ["predict", "{}.jpg", "--index", "{}"],
    ["compare", "{}", "{}", "--model", "{}"],
    ["index", "build", "{}", "--out", "{}"],
    ["index", "search", "{}", "{}"],
    ["demo", "{}"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_on_such_a_place_ends_in_one_line(command, circle, monkeypatch):
    monkeypatch.chdir(circle.parent)
    for place in (LONG, circle):
        code, _, err = run(*(word.format(place) for word in command))
        assert code == 2
        assert_shown(err)
        assert len(err.splitlines()) == 1


def test_photos_beside_such_places_are_still_read(circle):
    photo = write_photo(circle.parent / "a.jpg") or circle.parent / "a.jpg"
    names = [photo, circle, circle.parent / LONG, circle.parent / f"{LONG}.mp4"]
    assert [one.source for one in photos_of(names)] == names
    assert count_of(names[:3]) == 3


def test_boxes_of_such_places(circle):
    file = circle.parent / "boxes.csv"
    file.write_text(f"path,left,top,right,bottom\ncircle.jpg,0,0,9,9\n{LONG},0,0,9,9\ncircle.jpg/a.jpg,0,0,9,9\n")
    boxes = read_boxes(file)
    assert [one.box for one in in_boxes([Photo("circle", circle), Photo("a", circle.parent / "a.jpg")], boxes)] == [
        (0, 0, 9, 9),
        None,
    ]


def test_a_folder_that_cannot_be_written_is_told_before_the_work(circle, tmp_path):
    with pytest.raises(KcarsError, match="OUT .*: cannot be written"):
        refuse_filled(tmp_path / LONG, "OUT")
    with pytest.raises(KcarsError, match="OUT .*: is not empty"):
        refuse_filled(circle, "OUT")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(KcarsError, match="OUT .*: is not empty"):
        refuse_filled(tmp_path / "link", "OUT")
    refuse_filled(tmp_path / "new" / "deep", "OUT")


def test_a_video_whose_name_is_not_utf8_is_refused(tmp_path, monkeypatch):
    """OpenCV ends the process at one, with a memory fault."""
    import cv2

    file = cv2.VideoWriter(str(tmp_path / "a.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
    file.write(np.zeros((48, 64, 3), np.uint8))
    file.release()
    for place in (b"b\xff.mp4", b"folder\xff/b.mp4"):
        named = tmp_path / os.fsdecode(place)
        named.parent.mkdir(exist_ok=True)
        shutil.copy(tmp_path / "a.mp4", named)
        (one,) = frames(named, 1.0)
        assert "not UTF-8; rename it" in str(one.fault)
        monkeypatch.chdir(named.parent)
        (one,) = frames(type(named)(named.name), 1.0)
        assert "not UTF-8; rename it" in str(one.fault)
    (one,) = frames(tmp_path / "a.mp4", 1.0)
    assert one.fault is None
