"""Videos of every container that is read: frames by the container's times, past damage, and lost ones counted."""

import os
import re
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcars.core.errors import KcarsError
from kcars.images import video
from kcars.inference.photo_source import count_of, frames, photos_of

EXAMPLES = max(10, int(os.environ.get("KCARS_EXAMPLES", "60")) // 4)
RATE = 25  # MPEG-1 knows few rates.
CODECS = {
    ".mp4": "mp4v", ".mov": "mp4v", ".m4v": "mp4v", ".3gp": "mp4v", ".3g2": "mp4v", ".avi": "MJPG", ".mkv": "MJPG", ".webm": "VP80",
    ".ts": "MPG2", ".mts": "MPG2", ".m2ts": "mp4v", ".wmv": "WMV2", ".asf": "WMV2", ".mpg": "MPG1", ".mpeg": "MPG2",
}  # fmt: skip


def write(path, seconds=3, rate=RATE, codec=None):
    """A video whose red rises by 3 with each frame."""
    codec = codec or CODECS[path.suffix.lower()]
    file = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), rate, (64, 48))
    noise = np.random.default_rng(0).integers(0, 60, (48, 64, 3), np.uint8)
    for number in range(seconds * rate):
        file.write(noise + np.uint8([0, 0, 3 * number % 190]))
    file.release()
    return path


def boxes(data: bytes, start: int, end: int):
    """(name, place, size) of each box of an MP4 file between two places."""
    while start < end:
        size, name = struct.unpack(">I4s", data[start : start + 8])
        yield name, start, size
        start += size


def with_frame_times(path, milliseconds):
    """Give the frames of an MP4 file, whose `moov` comes last, durations of their own."""
    data = path.read_bytes()
    steps = np.diff([*milliseconds, milliseconds[-1] + 100])
    within = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}

    def rebuilt(start, end):
        out = b""
        for name, place, size in boxes(data, start, end):
            body = data[place + 8 : place + size]
            if name in within:
                body = rebuilt(place + 8, place + size)
            elif name == b"mdhd":
                body = body[:12] + struct.pack(">II", 1000, int(steps.sum())) + body[20:]
            elif name == b"stts":
                entries = b"".join(struct.pack(">II", 1, int(step)) for step in steps)
                body = struct.pack(">II", 0, len(steps)) + entries
            elif name == b"edts":
                continue
            out += struct.pack(">I4s", len(body) + 8, name) + body
        return out

    path.write_bytes(rebuilt(0, len(data)))
    return path


def red(pixels) -> float:
    return float(pixels[..., 0].mean() - pixels[..., 1].mean())


@pytest.mark.parametrize("ending", [*CODECS, ".TS", ".MPG"])
def test_every_container_is_read(tmp_path, ending):
    found = list(frames(write(tmp_path / f"v{ending}"), 1.0))
    assert [photo.fault for photo in found] == [None] * 3
    assert [photo.name.rsplit("@", 1)[1] for photo in found] == ["0.00s", "1.00s", "2.00s"]
    reds = [red(photo.source) for photo in found]
    assert reds == pytest.approx([0, 75, 150], abs=15)


def test_endings_are_those_that_are_tried():
    assert set(CODECS) == set(video.ENDINGS)


def test_videos_in_a_folder_are_read(tmp_path):
    (tmp_path / "cars" / "a").mkdir(parents=True)
    write(tmp_path / "cars" / "a" / "v.mp4")
    cv2.imwrite(str(tmp_path / "cars" / "b.jpg"), np.full((48, 64, 3), 90, np.uint8))
    found = [photo.name.rsplit("/", 1)[1] for photo in photos_of([tmp_path / "cars"], 2.0)]
    assert found == ["v.mp4@0.00s", "v.mp4@2.00s", "b.jpg"]
    assert count_of([tmp_path / "cars"]) is None


def test_a_variable_rate_goes_by_the_containers_times(tmp_path):
    times = [0, 100, 200, 300, 5000, 5100, 8000, 8100, 8200, 9000]
    file = with_frame_times(write(tmp_path / "v.mp4", seconds=1, rate=10), times)
    found = list(frames(file, 1.0))
    assert [photo.name.rsplit("@", 1)[1] for photo in found] == ["0.00s", "5.00s", "8.00s", "9.00s"]
    assert [red(photo.source) for photo in found] == pytest.approx([0, 12, 18, 27], abs=4)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=9, max_size=9), st.sampled_from([0.05, 0.3, 1.0, 2.5, 7.0]))
def test_frames_are_the_first_at_or_behind_each_multiple(tmp_path_factory, steps, every):
    times = [0, *np.cumsum(steps).tolist()]
    file = with_frame_times(write(tmp_path_factory.mktemp("v") / "v.mp4", seconds=1, rate=10), times)
    found = [seconds for seconds, _ in video.frames(file, every)]
    expected, due = [], 0.0
    for time in times:
        if time / 1000 >= due - 0.0005:
            expected.append(time / 1000)
            due = (np.floor((time / 1000 + 0.0005) / every) + 1) * every
    assert found == pytest.approx(expected, abs=0.002)


def spoiled(file, share=(0.3, 0.5)):
    data = bytearray(file.read_bytes())
    begin, end = (int(part * len(data)) for part in share)
    data[begin:end] = bytes(end - begin)
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("ending", [".mp4", ".avi", ".mkv", ".ts", ".wmv", ".mpg", ".webm"])
def test_damage_does_not_end_a_video_in_silence(tmp_path, ending):
    file = spoiled(write(tmp_path / f"v{ending}", seconds=4, codec="MJPG" if ending == ".mp4" else None))
    *good, last = frames(file, 0.4)
    lost = re.search(
        r"(\d+) (of its 100 frames cannot|frames are missing or cannot) be decoded; the others were read",
        str(last.fault),
    )
    assert lost and 10 <= int(lost[1]) <= 60
    assert len(good) >= 6 and all(photo.fault is None for photo in good)


@pytest.mark.parametrize("ending", [".avi", ".mkv", ".webm"])
def test_a_cut_video_says_how_much_is_missing(tmp_path, ending):
    file = write(tmp_path / f"v{ending}", seconds=4)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    *good, last = frames(file, 0.4)
    assert len(good) in range(3, 8) and re.search(r"\d\d .*frames .*decoded", str(last.fault))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from([".mp4", ".avi", ".mkv", ".ts", ".wmv", ".mpg"]), st.data())
def test_whatever_is_damaged_there_is_no_traceback(tmp_path_factory, ending, data):
    file = write(tmp_path_factory.mktemp("v") / f"v{ending}", seconds=2)
    content = bytearray(file.read_bytes())
    begin = data.draw(st.integers(0, len(content) - 1))
    content[begin : begin + data.draw(st.integers(1, 2000))] = data.draw(st.binary(max_size=200))
    file.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    times = []
    try:
        for seconds, pixels in video.frames(file, 0.5):
            times.append(seconds)
            assert pixels.shape[2] == 3
    except KcarsError as error:
        assert "\n" not in str(error)
    assert times == sorted(set(times))


def with_matrix(path, matrix):
    """Give the track header of an MP4 file a display matrix."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + (52 if data[data.index(b"tkhd") + 4] else 40)
    data[place : place + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    return path


ONE, LAST = 1 << 16, 1 << 30


@pytest.mark.parametrize(
    ("matrix", "mirrored"),
    [
        ((ONE, 0, 0, 0, ONE, 0, 0, 0, LAST), False),
        ((0, ONE, 0, -ONE, 0, 0, 48 * ONE, 0, LAST), False),  # A quarter turn.
        ((-ONE, 0, 0, 0, -ONE, 0, 64 * ONE, 48 * ONE, LAST), False),  # A half turn.
        ((-ONE, 0, 0, 0, ONE, 0, 64 * ONE, 0, LAST), True),
        ((ONE, 0, 0, 0, -ONE, 0, 0, 48 * ONE, LAST), True),
        ((0, ONE, 0, ONE, 0, 0, 0, 0, LAST), True),
    ],
)
def test_a_mirrored_video_is_refused_and_no_turned_one(tmp_path, matrix, mirrored):
    """OpenCV shows a mirror image as a half turn."""
    path = with_matrix(write(tmp_path / "a.mp4", seconds=1), matrix)
    found = list(frames(path, 1.0))
    assert [photo.fault is not None for photo in found] == [mirrored]
    if mirrored:
        assert "a.mp4: is to be shown mirrored" in str(found[0].fault)


def test_tries_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setenv("KCARS_LIMITS", "video_damaged_frames=3")
    *_, last = frames(spoiled(write(tmp_path / "v.mp4", seconds=4)), 1.0)
    assert "cannot be decoded" in str(last.fault)
