"""Reads frames of a video file with FFmpeg, restricted to supported file types and to that one file."""

import contextlib
import math
import os
import threading
import time as clock
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.data.photo_files import refuse_undecodable
from kcars.images import formats
from kcars.images.mp4_matrix import is_mirrored
from kcars.untrusted.reading import opened

ENDINGS = (
    ".mp4", ".mov", ".m4v", ".3gp", ".3g2", ".avi", ".mkv", ".webm", ".ts", ".mts", ".m2ts", ".wmv", ".asf", ".mpg", ".mpeg",
)  # fmt: skip
NO_VIDEO = "not a video that can be decoded; MP4, MOV, 3GP, AVI, Matroska, WebM, MPEG and WMV are supported"
# FFmpeg identifies files by content: a playlist named .mp4 could refer to other files or to URLs.
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpegts,mpeg,asf",
}
_VARIABLE, _LOCK = "OPENCV_FFMPEG_CAPTURE_OPTIONS", threading.Lock()
STALLED_SECONDS = 20  # Maximum time without a decoded frame; at a file's end a thousand tries take milliseconds.
_ODD = 0.1  # Share of frames at unusual intervals above which the frame rate counts as variable.


def frames(video: Path, every_seconds: float) -> Iterator[tuple[float, np.ndarray]]:
    """Yields (seconds, RGB pixels (h, w, 3) uint8) every `every_seconds`, from the first frame on, by the times in the file.

    Damaged frames are skipped. Raises KcarsError for a file that is not a video or has frames of more than
    `photo_megapixels`, and after the last frame if some were lost.
    """
    place = os.path.abspath(video)
    refuse_undecodable(place, ())  # OpenCV crashes on such a name.
    with opened(video) as file:  # A pipe or a device may never end.
        if is_mirrored(file, os.fstat(file.fileno()).st_size):
            raise KcarsError(f"{video}: is to be shown mirrored, which is not supported; convert it first (ffmpeg -i)")
        capture = _capture(place)
    times = _Times()
    try:
        if capture.isOpened() and capture.get(cv2.CAP_PROP_FPS) > 0:
            _refuse_size(
                video, *(int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
            )
            try:
                yield from _every(capture, video, every_seconds, times)
            except _Stalled:
                told = f"nothing can be decoded for {STALLED_SECONDS} s behind frame {times.count}"
                raise KcarsError(f"{video}: {told}; what follows is not read") from None
        if not times.count:
            raise KcarsError(f"{video}: {NO_VIDEO}")
        if lost := times.lost(video, capture):
            raise KcarsError(f"{video}: {lost}; the others were read")
    finally:
        capture.release()


def _every(
    capture: cv2.VideoCapture, video: Path, seconds: float, times: "_Times"
) -> Iterator[tuple[float, np.ndarray]]:
    due = -math.inf
    for time in times.each(capture):  # Frames between are not decoded to pixels.
        if time < due:
            continue
        whole, pixels = _retrieved(capture, video)
        if whole and pixels is not None:
            _refuse_size(video, pixels.shape[1], pixels.shape[0])  # It may change within a video.
            yield time, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
            due = (math.floor((time + _Times.CLOSE) / seconds) + 1) * seconds - _Times.CLOSE


class _Times:
    """The times of a video's frames, and the number of missing ones.

    count: number of decoded frames.
    """

    CLOSE = 0.0005  # Seconds: containers round to milliseconds.
    TABLES = (b"ftyp", b"RIFF")  # First bytes of file types that contain the number of frames.

    def __init__(self):
        self.count, self._last, self._gaps = 0, 0.0, Counter()

    def each(self, capture: cv2.VideoCapture) -> Iterator[float]:
        """Increasing times in seconds of the frames that can be decoded."""
        rate = capture.get(cv2.CAP_PROP_FPS)
        for _ in _grabbed(capture):
            time = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if self.count and not time > self._last:  # MPEG does not contain the time of every frame.
                time = self._last + 1 / rate
            if not self.count and not math.isfinite(time):
                time = 0.0
            if self.count:
                self._gaps[round((time - self._last) * 1000)] += 1
            self.count, self._last = self.count + 1, time
            yield time

    def lost(self, video: Path, capture: cv2.VideoCapture) -> str:
        """A message with the number of frames that were not decoded, "" if none is known to be missing."""
        expected, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
        with opened(video) as file:
            begin = file.read(8)
        if any(mark in begin for mark in self.TABLES):
            missing = round(expected) - self.count
            return f"{missing} of its {round(expected)} frames cannot be decoded" if missing > 0 else ""
        missing = self._missing(expected / rate)
        return f"about {missing} frames are missing or cannot be decoded" if missing > 0 else ""

    def _missing(self, duration: float) -> int:
        """Number of frames missing according to the times, between others and at the end; 0 for variable frame rates."""
        if not self._gaps:
            return 0
        usual = self._gaps.most_common(1)[0][0]
        wide = Counter({gap: count for gap, count in self._gaps.items() if gap > 1.5 * usual})
        if usual <= 0 or wide.total() > _ODD * self.count:
            return 0
        between = sum(count * (round(gap / usual) - 1) for gap, count in wide.items())
        after = math.floor((duration - self._last) * 1000 / usual) - 1
        return between + (after if after > 2 else 0)  # Durations are a frame or two longer if sound continues.


class _Stalled(Exception):
    """No frame comes for too long."""


def _grabbed(capture: cv2.VideoCapture) -> Iterator[None]:
    """Yields once per decoded frame; skips up to `video_damaged_frames` consecutive damaged ones.

    Raises _Stalled if that takes longer than `STALLED_SECONDS`: FFmpeg searches all that follows, such as gigabytes of zeros.
    """
    failed, since = 0, clock.monotonic()
    while failed < limits().video_damaged_frames:
        if capture.grab():
            yield
            failed, since = 0, clock.monotonic()
        else:
            failed += 1
            if clock.monotonic() - since > STALLED_SECONDS:
                raise _Stalled


def _capture(video: str) -> cv2.VideoCapture:
    """The video, opened only by FFmpeg, because OpenCV's other readers accept images as videos."""
    with _options():
        return cv2.VideoCapture(video, cv2.CAP_FFMPEG)


@contextlib.contextmanager
def _options() -> Iterator[None]:
    """Sets FFmpeg's options in the environment variable that OpenCV reads, after existing options."""
    with _LOCK:
        before = os.environ.get(_VARIABLE)
        own = "|".join(f"{name};{value}" for name, value in _OPTIONS.items())
        os.environ[_VARIABLE] = f"{before}|{own}" if before else own
        try:
            yield
        finally:
            os.environ.pop(_VARIABLE)
            if before is not None:
                os.environ[_VARIABLE] = before


def _retrieved(capture: cv2.VideoCapture, video: Path) -> tuple[bool, np.ndarray | None]:
    try:
        return capture.retrieve()
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(f"{video}: memory is too short to decode a frame") from None
        return False, None


def _refuse_size(video: Path, width: int, height: int) -> None:
    try:
        formats.refuse_size(width, height, limits())
    except formats.BeyondLimit as error:
        raise KcarsError(f"{video}: frames of {error}") from None
    except ValueError:
        raise KcarsError(f"{video}: {NO_VIDEO}") from None
