"""Reader of photos in class folders: `make/model/*.jpg`, or one level for one target; `train/` and `test/` above."""

from pathlib import Path, PurePosixPath

from kcars.data.index import Dataset
from kcars.data.own import SPLITS, Photo, dataset
from kcars.data.photos import walk
from kcars.errors import KcarsError
from kcars.settings import DataSettings


def read(root: Path, task: str, data: DataSettings) -> Dataset:
    """The Dataset of a folder of class folders; KcarsError where photos stand too high, too deep, or not at all."""
    return dataset(root, described(root), task, data, str(root))


def described(root: Path) -> list[Photo]:
    """Every photo below `root`, make and model read off its folders."""
    if not root.is_dir():
        raise KcarsError(f"dataset {root}: there is no such folder")
    paths = walk(root)
    if not paths:
        raise KcarsError(f"dataset {root}: holds no photo; expected make/model/*.jpg, a CSV, or CompCars' layout")
    split = all(path.split("/")[0] in SPLITS for path in paths)
    photos = [_photo(path, split, root) for path in paths]
    if len({photo.make != "" for photo in photos}) > 1:
        one = next(photo.path for photo in photos if not photo.make)
        two = next(photo.path for photo in photos if photo.make)
        raise KcarsError(
            f"dataset {root}: {one} stands one folder deep and {two} two; use make/model/photo or class/photo, not both"
        )
    return photos


def _photo(path: str, split: bool, root: Path) -> Photo:
    first, *labels = PurePosixPath(path).parts[:-1] if split else ("", *PurePosixPath(path).parts[:-1])
    if len(labels) not in (1, 2):
        raise KcarsError(
            f"dataset {root}: {path} stands {len(labels)} class folders deep; expected make/model/photo or class/photo"
        )
    *make, model = labels
    return Photo(path, "".join(make), model, first)
