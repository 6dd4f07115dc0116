"""Writes the lists of a CompCars release for drawn cars: names, attributes, splits, pairs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.rng import generator
from kcars.drawn.car import MakeStyle, ModelShape

MOST_PAIRS = 3000  # per difficulty
_TRAIN_SHARE = 0.7
_TYPES = ("MPV", "SUV", "sedan", "hatchback", "minibus", "fastback", "estate", "pickup", "hardtop convertible", "sports",
          "crossover", "convertible")  # fmt: skip


@dataclass(frozen=True)
class DrawnModel:
    """One model and its photos: `paths` below image/, `viewpoints` 1..5; `unseen` models are only in the pairs."""

    number: int
    make: int
    make_name: str
    make_id: int
    model_id: int
    name: str
    unseen: bool
    shape: ModelShape
    style: MakeStyle
    paths: tuple[str, ...]
    viewpoints: tuple[int, ...]


def write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_lists(folder: Path, seed: int, models: list[DrawnModel]) -> None:
    """Write names, attributes, splits and pairs of all models, as in a CompCars release."""
    _write_names(folder / "misc", models)
    seen = [model for model in models if not model.unseen]
    split = folder / "train_test_split"
    parts = {True: [], False: []}
    for model in seen:
        for path, trains in zip(model.paths, _trains(seed, model), strict=True):
            parts[trains].append(path)
    _write_lines(split / "classification" / "train.txt", sorted(parts[True]))
    _write_lines(split / "classification" / "test.txt", sorted(parts[False]))
    _write_lines(split / "classification" / "test_balanced.txt", _balanced(seed, parts[False]))
    _write_lines(split / "verification" / "verification_train.txt", sorted(parts[True] + parts[False]))
    unseen = [model for model in models if model.unseen]
    for number, difficulty in enumerate(("easy", "medium", "hard")):
        lines = _pairs(generator(seed, "drawn pairs", number), unseen, difficulty)
        _write_lines(split / "verification" / f"verification_pairs_{difficulty}.txt", lines)


def _balanced(seed: int, paths: list[str]) -> list[str]:
    """The same number of paths for each model, that of the smallest model, sorted."""
    of_model: dict[str, list[str]] = {}
    for path in paths:
        of_model.setdefault(path.split("/")[1], []).append(path)
    fewest = min(map(len, of_model.values()))
    drawn = generator(seed, "drawn balanced test", 0)
    return sorted(path for own in of_model.values() for path in drawn.permutation(sorted(own))[:fewest].tolist())


def _write_lines(path: Path, lines: list[str]) -> None:
    write_file(path, "".join(f"{line}\n" for line in lines).encode())


def _write_names(folder: Path, models: list[DrawnModel]) -> None:
    """make_model_name.mat (cells by id, empty where an id is not used), attributes.txt, car_type.mat."""
    from scipy.io import savemat

    folder.mkdir(parents=True)
    makes = np.full((max(model.make_id for model in models), 1), "", object)
    names = np.full((max(model.model_id for model in models), 1), "", object)
    rows = ["model_id maximum_speed displacement door_number seat_number type"]
    for model in sorted(models, key=lambda model: model.model_id):
        makes[model.make_id - 1, 0] = model.make_name
        names[model.model_id - 1, 0] = model.name
        seats = 2 if model.shape.body == "coupe" else 7 if model.shape.body == "van" else 5
        speed = 150 + 7 * (model.model_id % 11)
        rows.append(
            f"{model.model_id} {speed} {1 + model.model_id % 16 / 10} {model.shape.doors} {seats} {model.shape.type_number}"
        )
    savemat(folder / "make_model_name.mat", {"make_names": makes, "model_names": names})
    savemat(folder / "car_type.mat", {"types": np.array(_TYPES, object)[None, :]})
    _write_lines(folder / "attributes.txt", rows)


def _trains(seed: int, model: DrawnModel) -> list[bool]:
    """For each photo of a model whether it trains: seven tenths of each viewpoint."""
    random = generator(seed, "drawn split", model.number)
    order = np.lexsort((random.random(len(model.paths)), np.array(model.viewpoints)))
    position = np.empty(len(order), int)
    position[order] = np.arange(len(order))
    start = random.random()
    return [bool(np.floor((p + 1) * _TRAIN_SHARE + start) > np.floor(p * _TRAIN_SHARE + start)) for p in position]


def _pairs(random: np.random.Generator, models: list[DrawnModel], difficulty: str) -> list[str]:
    """Lines `path path label`, as many positive as negative, none twice, in random order."""
    photos = [(path, view, model.number, model.make) for model in models
              for path, view in zip(model.paths, model.viewpoints, strict=True)]  # fmt: skip
    if len(photos) > 2000:  # All pairs of these are considered; more would only cost memory.
        photos = [photos[k] for k in np.sort(random.choice(len(photos), 2000, replace=False))]
    views, numbers, makes = (np.array([photo[column] for photo in photos]) for column in (1, 2, 3))
    left, right = np.triu_indices(len(photos), 1)
    same = numbers[left] == numbers[right]
    same_make, same_view = makes[left] == makes[right], views[left] == views[right]
    allowed = {"easy": same_view, "medium": np.ones(len(left), bool), "hard": np.ones(len(left), bool)}[difficulty]
    other = {"easy": ~same_make, "medium": ~same, "hard": same_make & ~same}[difficulty]
    positive, negative = np.flatnonzero(allowed & same), np.flatnonzero(allowed & other)
    count = min(MOST_PAIRS // 2, len(positive), len(negative))
    if not count:
        raise KcarsError(f"drawn cars: too few photos for {difficulty} pairs; draw more photos per model")
    drawn = np.concatenate([random.choice(kind, count, replace=False) for kind in (positive, negative)])
    lines = []
    for pair in random.permutation(drawn):
        first, second = (left[pair], right[pair]) if random.random() < 0.5 else (right[pair], left[pair])
        lines.append(f"{photos[first][0]} {photos[second][0]} {int(same[pair])}")
    return lines
