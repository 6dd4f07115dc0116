"""Photos for prediction: files, folders, video frames, with boxes from a CSV file or the user's own detector."""

import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from kcars.core.csv_files import delimiter, restored
from kcars.core.errors import KcarsError
from kcars.core.files import real_path
from kcars.core.limits import limits
from kcars.core.plain_text import warn
from kcars.data.photo_files import walk
from kcars.data.spelling import Disk, why_missing
from kcars.images import video
from kcars.images.decode import full_size, named, photo_bytes
from kcars.untrusted import onnx_file
from kcars.untrusted.reading import MIB, opened_list, read_bytes
from kcars.untrusted.rows import ROW_CHARACTERS, Lines

VIDEO_ENDINGS = video.ENDINGS
BOX_COLUMNS = ("left", "top", "right", "bottom")
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Photo:
    """A photo to read: source is a file, its encoded bytes, or RGB pixels (h, w, 3) uint8.

    A `Predictor` also accepts a Photo whose source is another input of `photo_input.TAKEN`, such as a path as text.
    box: left, top, right, bottom in pixels, half-open; None for the whole photo. fault: error of an unreadable photo.
    """

    name: str
    source: Path | bytes | np.ndarray
    box: Box | None = None
    fault: KcarsError | None = None


def photos_of(names: Iterable[Path], every_seconds: float = 1.0) -> Iterator[Photo]:
    """Yield the given files, the photos of folders and subfolders, and regular frames of videos, in order.

    For a folder without photos, yields a Photo with a `fault`.
    """
    for name in names:
        if os.path.isdir(name):
            found = walk(name, VIDEO_ENDINGS)
            if not found:
                fault = KcarsError(f"{name}: has no photos; JPEG, PNG, WebP and BMP are recognised by their extensions")
                yield Photo(shown(name), name, fault=fault)
            for path in found:
                yield from _of_file(name / path, every_seconds)
        else:
            yield from _of_file(name, every_seconds)


def _of_file(name: Path, every_seconds: float) -> Iterator[Photo]:
    if is_video(name) and os.path.isfile(name):
        yield from frames(name, every_seconds)
    else:
        yield Photo(shown(name), name)


def is_video(name: Path | str) -> bool:
    """Return whether a file has a video's extension."""
    return str(name).lower().endswith(VIDEO_ENDINGS)


def shown(path: Path | str) -> str:
    """Return a path as text, with invalid UTF-8 replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def count_of(names: Iterable[Path]) -> int | None:
    """Return the number of photos of `photos_of`, None if there is a video."""
    found = [path for name in names for path in (walk(name, VIDEO_ENDINGS) if os.path.isdir(name) else [name])]
    return None if any(map(is_video, found)) else len(found)


def frames(file: Path, every_seconds: float) -> Iterator[Photo]:
    """Yield a frame of a video every so many seconds, from the first; named by the video and its time.

    Errors are a `fault`; if frames are lost, that of the last Photo.
    """
    try:
        for seconds, pixels in video.frames(file, every_seconds):
            yield Photo(f"{shown(file)}@{seconds:.2f}s", pixels)
    except KcarsError as error:
        yield Photo(shown(file), file, fault=error)


def read_boxes(file: Path) -> dict[Path, list[Box]]:
    """Read boxes by absolute photo path from a CSV of path, left, top, right, bottom; paths are relative to its folder.

    A photo may have several lines; missing photos are reported. Raises KcarsError with the number of a wrong line.
    """
    boxes: dict[Path, list[Box]] = {}
    disk, gone = Disk(file.parent), {}
    try:
        with opened_list(file) as text:
            head = text.readline(ROW_CHARACTERS)
            text.seek(0)
            lines = Lines(text)
            reader = csv.DictReader(lines, delimiter=delimiter(head))
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            missing = [name for name in ("path", *BOX_COLUMNS) if name not in (reader.fieldnames or ())]
            if missing:
                raise KcarsError(f"{file}: has no column {missing[0]}; path, left, top, right and bottom are needed")
            if twice := [name for name, count in Counter(reader.fieldnames).items() if name and count > 1]:
                raise KcarsError(f"{file}: has two columns {twice[0]}; each may occur only once")
            for line in lines.rows(reader):
                where = f"{file} line {reader.line_num}"
                if not line["path"] or "\0" in line["path"] or None in line:
                    raise KcarsError(f"{where}: has no photo, or too many cells; path,left,top,right,bottom is needed")
                path = restored(line["path"])
                path = path if os.path.lexists(file.parent / path) else disk.path_of(path.strip())
                if is_video(path):
                    raise KcarsError(f"{where}: {path!r} is a video; use --box for the box of all frames")
                if not os.path.lexists(file.parent / path):
                    gone[path] = None
                boxes.setdefault(real_path(file.parent / path), []).append(
                    box_of([line[name] for name in BOX_COLUMNS], where)
                )
    except (OSError, ValueError, csv.Error) as error:
        raise KcarsError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if gone:
        _warn_of_gone(file, list(gone))
    return boxes


def _warn_of_gone(file: Path, paths: list[str]) -> None:
    why = why_missing(file.parent, paths)
    problem = f"{len(paths)} of its photos are not in {file.parent}, such as {paths[0]!r}"
    warn(f"warning: {file}: {problem}{f'; {why}' if why else ''}")


def box_of(texts: Sequence[str | None], where: str) -> Box:
    """Parse a box from four texts; KcarsError, which begins with `where`, if they are invalid."""
    try:
        left, top, right, bottom = (float(text) for text in texts)  # pyright: ignore[reportArgumentType]  None is reported below.
        finite = np.isfinite([left, top, right, bottom]).all()
        if not (finite and left < right and top < bottom):
            raise ValueError
    except (TypeError, ValueError):
        given = ",".join(text or "" for text in texts)
        raise KcarsError(
            f"{where}: {given!r} is not a box; give left, top, right (above left) and bottom (above top) in pixels, such as 10,20,200,120"
        ) from None
    return left, top, right, bottom


def in_boxes(photos: Iterable[Photo], boxes: dict[Path, list[Box]]) -> Iterator[Photo]:
    """Yield each photo once per box, or whole if it has none."""
    for photo in photos:
        own = boxes.get(real_path(photo.source), []) if isinstance(photo.source, Path) else []
        yield from (replace(photo, box=box) for box in own or [None])


class Detector:
    """The user's own ONNX detector: (1, 3, h, w) RGB to (1, n, 6) left, top, right, bottom, score, class.

    RGB is 0..1 for float32 or float16 inputs, 0..255 for uint8. Boxes are in pixels of its input, which contains the photo with
    its aspect ratio and a grey border (letterbox), as for detectors of the YOLO family exported with non-maximum suppression.
    classes: the vehicle classes; empty for all.
    """

    FREE_SIDE, GREY = 640, 114
    TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}

    def __init__(self, file: Path, classes: frozenset[int] = frozenset(), least_score: float = 0.25):
        what = f"--detector {file}"
        try:
            content = read_bytes(file, limits().model_mib * MIB)
        except KcarsError as error:
            raise KcarsError(f"--detector {error}") from None
        self._session = onnx_file.session(content, what, None, "name an ONNX model")
        self.file, self.classes, self.least_score = file, classes, least_score
        self._name, self._type, shape = self._input(self._session.get_inputs())
        self._height, self._width = (side if isinstance(side, int) else self.FREE_SIDE for side in shape[2:])
        if not 0 < self._height * self._width <= (most := limits().detector_megapixels) * 1_000_000:
            sides = f"{self._height} x {self._width}"
            raise KcarsError(
                f"--detector {file}: takes {sides} pixels; the limit is {most} million (detector_megapixels)"
            )

    def _input(self, given: Sequence) -> tuple[str, type, list]:
        """Return name, NumPy type and shape of the input; KcarsError if it does not accept a photo."""
        where = f"--detector {self.file}: takes"
        if len(given) != 1:
            names = ", ".join(one.name for one in given) or "none"
            raise KcarsError(
                f"{where} {len(given)} inputs ({names}); a single one for photos is needed: (1, 3, height, width)"
            )
        (one,) = given
        if not one.shape or len(one.shape) != 4 or one.shape[1] != 3:
            raise KcarsError(f"{where} {one.shape}; (1, 3, height, width) is needed")
        if isinstance(one.shape[0], int) and one.shape[0] != 1:
            raise KcarsError(
                f"{where} {one.shape[0]} photos at a time; export it for one photo, or for any number of them"
            )
        if one.type not in self.TYPES:
            raise KcarsError(f"{where} {one.type}; {', '.join(self.TYPES)} are supported")
        return one.name, self.TYPES[one.type], one.shape

    def _found(self, canvas: np.ndarray) -> np.ndarray:
        """Return the detections (n, 6) in a photo of the detector's size, (h, w, 3) uint8."""
        batch = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None])
        if self._type is not np.uint8:
            batch = (batch.astype(np.float32) / 255).astype(self._type)
        try:
            with np.errstate(over="ignore"):  # Values out of range of float32 become infinite and are left out below.
                found = np.asarray(self._session.run(None, {self._name: batch})[0], np.float32)
        except Exception as error:  # noqa: BLE001  Its exceptions have no public base class.
            reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
            raise KcarsError(f"--detector {self.file}: fails for a photo of {batch.shape} ({reason})") from None
        if found.ndim != 3 or found.shape[0] != 1 or found.shape[2] != 6:
            raise KcarsError(
                f"--detector {self.file}: returns {found.shape}; (1, n, 6) is needed: left, top, right, bottom, score, class"
            )
        return found[0][np.isfinite(found[0]).all(1)]

    def boxes(self, pixels: np.ndarray) -> list[Box]:
        """Return the boxes of vehicles in a photo (h, w, 3) uint8, the most confident first."""
        height, width = pixels.shape[:2]
        scale = min(self._height / height, self._width / width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        left, top = (self._width - size[0]) // 2, (self._height - size[1]) // 2
        canvas = np.full((self._height, self._width, 3), self.GREY, np.uint8)
        canvas[top : top + size[1], left : left + size[0]] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        found = self._found(canvas)
        found = found[found[:, 4] >= self.least_score]
        if len(found) and (found[:, 2:4] <= 1).all():
            raise KcarsError(
                f"--detector {self.file}: returns relative boxes, from 0 to 1; pixels of its input are needed"
            )
        if self.classes:
            found = found[np.isin(found[:, 5].round(), list(self.classes))]
        found = found[np.argsort(-found[:, 4], kind="stable")][: limits().detector_boxes]
        corners = (found[:, :4] - [left, top, left, top]) / scale
        corners = np.clip(corners, 0, [width, height, width, height])
        return [
            (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
            for box in corners
            if box[2] - box[0] >= 1 and box[3] - box[1] >= 1
        ]


def detected(photos: Iterable[Photo], detector: Detector) -> Iterator[Photo]:
    """Yield each photo once per detected vehicle, or with a fault if none is detected."""
    for photo in photos:
        try:
            pixels = photo.source if isinstance(photo.source, np.ndarray) else _pixels(photo)
        except KcarsError as error:
            yield replace(photo, fault=error)
            continue
        boxes = detector.boxes(pixels)
        if not boxes:
            yield replace(photo, fault=KcarsError(f"{photo.name}: the detector finds no vehicle"))
        yield from (replace(photo, box=box) for box in boxes)  # The photo is read again later, at full scale.


def _pixels(photo: Photo) -> np.ndarray:
    """Read the pixels of a photo."""
    assert not isinstance(photo.source, np.ndarray)
    with named(photo.name):
        return full_size(photo.source if isinstance(photo.source, bytes) else photo_bytes(photo.source))
