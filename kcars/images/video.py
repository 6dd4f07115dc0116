"""Frames of a video file by FFmpeg, which is kept to the kinds of file that kcars names, and to that one file."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from kcars.data.photos import refuse_undecodable
from kcars.errors import KcarsError
from kcars.images import formats
from kcars.limits import limits
from kcars.untrusted import opened

NO_VIDEO = "no video that can be decoded; MP4, MOV, AVI, Matroska and WebM are known"
# FFmpeg goes by what a file holds: a playlist called .mp4 would name other files, or addresses to fetch.
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm"}
_VARIABLE, _LOCK = "OPENCV_FFMPEG_CAPTURE_OPTIONS", threading.Lock()


def frames(video: Path, every_seconds: float) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds, RGB pixels (h, w, 3) uint8) every so many seconds, the first frame first.

    Raises KcarsError for a file that is no video, or has frames of more than `photo_megapixels`.
    """
    place = os.path.abspath(video)
    refuse_undecodable(place, ())  # OpenCV crashes at such a name.
    with opened(video):  # A pipe or a device may never end.
        capture = _capture(place)
    try:
        rate = capture.get(cv2.CAP_PROP_FPS) if capture.isOpened() else 0.0
        if rate > 0:
            _refuse_size(
                video, *(int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
            )
        step, number = max(1, round(every_seconds * rate)), 0
        while rate > 0 and capture.grab():  # Frames between are not decoded to pixels.
            if number % step == 0:
                whole, pixels = _retrieved(capture, video)
                if whole:
                    _refuse_size(video, pixels.shape[1], pixels.shape[0])  # It may change on the way.
                    yield number / rate, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
            number += 1
        if not number:
            raise KcarsError(f"{video}: {NO_VIDEO}")
    finally:
        capture.release()


def _capture(video: str) -> cv2.VideoCapture:
    """The video opened by FFmpeg alone: OpenCV's other readers take single pictures for videos."""
    with _options():
        return cv2.VideoCapture(video, cv2.CAP_FFMPEG)


@contextlib.contextmanager
def _options() -> Iterator[None]:
    """FFmpeg's options, in the only place where OpenCV takes them, behind those that are there already."""
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
