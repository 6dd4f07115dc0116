"""Generates drawn cars in CompCars' layout: a licence-free dataset for tests, demonstrations and first runs.

Each model is a three-dimensional car with its make's styling and its own proportions (`car`), drawn
from the five viewpoints of CompCars (`photo`). Paint, light, background and lens vary from photo to photo.
Every photo is a function of (seed, model, photo): the files do not depend on the number of workers.
"""

from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2
import joblib
import numpy as np
from tqdm import tqdm

from kcars.core.errors import KcarsError
from kcars.core.files import folder_written_whole
from kcars.core.rng import generator
from kcars.core.workers import each
from kcars.drawn.cabin import car_mesh
from kcars.drawn.car import make_style, model_shapes, style_orders
from kcars.drawn.lists import DrawnModel, write_file, write_lists
from kcars.drawn.photo import CLEAR, draw_photo
from kcars.drawn.weather import Weather

FEWEST_PHOTOS = 4  # of a model
_VIEWPOINTS = np.array(
    [0.136, 0.099, 0.173, 0.363, 0.229]
)  # CompCars' shares of front, rear, side, front- and rear-side
_LIMITS = {"makes": (2, 160), "models_per_make": (3, 60), "photos_per_model": (12, 600), "seed": (0, 2**63 - 1),
           "width_px": (64, 2048), "height_px": (48, 2048)}  # fmt: skip
_MAKES = ("Ardenne", "Brisko", "Calvero", "Dorvane", "Elmstad", "Fjordan", "Galtrey", "Helvio", "Istrana", "Jorvend",
          "Kestwen", "Lumbra")  # fmt: skip
_MODELS = ("Alder", "Brook", "Cedar", "Drift", "Ember", "Fern", "Gale", "Heath", "Inlet", "Juniper", "Knoll", "Larch",
           "Moor", "Nettle", "Oriole", "Plover", "Quill", "Rowan", "Sorrel", "Thistle", "Umber", "Vale", "Willow",
           "Yarrow")  # fmt: skip


@dataclass(frozen=True)
class DrawnCars:
    """The size of the dataset; a quarter of each make's models, at least two, are only in the pairs, the others train."""

    makes: int = 12
    models_per_make: int = 7
    photos_per_model: int = 54  # Mean; models have two thirds to four thirds of it.
    seed: int = 0
    width_px: int = 240
    height_px: int = 160
    imbalance: float = 2.0  # Photos of the largest model / photos of the smallest.
    long_tail: bool = False  # Few large and many small classes, instead of evenly decreasing sizes.
    night: float = 0.0  # Share of the photos, as the next two.
    rain: float = 0.0
    occlusion: float = 0.0

    def __post_init__(self):
        for name, (least, most) in _LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value <= most:
                raise KcarsError(f"drawn cars, {name}: expected an integer from {least} to {most}, not {value!r}")
        for name, (least, most) in {
            "imbalance": (1, 200),
            **dict.fromkeys(("night", "rain", "occlusion"), (0, 1)),
        }.items():
            if not least <= getattr(self, name) <= most:
                raise KcarsError(
                    f"drawn cars, {name}: expected a number from {least} to {most}, not {getattr(self, name)}"
                )
        if (smallest := self.sizes().min()) < FEWEST_PHOTOS:
            raise KcarsError(
                f"drawn cars: an imbalance of {self.imbalance:g} leaves a model {smallest} photos, {FEWEST_PHOTOS} are "
                "needed; draw more photos per model"
            )
        if not 0.5 <= self.width_px / self.height_px <= 4:
            raise KcarsError(
                f"drawn cars: {self.width_px} x {self.height_px} px is not allowed; width must be 0.5 to 4 heights"
            )

    def sizes(self) -> np.ndarray:
        """Photos of each model, smallest first; their mean is photos_per_model."""
        models = self.makes * self.models_per_make
        share = np.geomspace(1, self.imbalance, models) if self.long_tail else np.linspace(1, self.imbalance, models)
        return np.rint(share / share.mean() * self.photos_per_model).astype(int)


def draw(folder: Path, settings: DrawnCars | None = None, progress: bool = True, workers: int | None = None) -> None:
    """Draw a whole dataset into `folder`, which must be new or empty; it is written completely or not at all."""
    folder, settings = Path(folder).absolute(), settings or DrawnCars()
    workers = joblib.cpu_count() if workers is None else workers
    if workers < 1:
        raise KcarsError(f"drawn cars, workers: expected at least 1, not {workers}")
    models = drawn_models(settings)
    with (
        folder_written_whole(folder, "drawn cars:") as unfinished,
        tqdm(
            total=sum(len(m.paths) for m in models), unit="photo", disable=None if progress else True, desc="drawing"
        ) as bar,
    ):
        write_lists(unfinished, settings.seed, models)
        for drawn in _drawn(unfinished, settings, models, min(workers, len(models))):
            bar.update(drawn)


def _drawn(folder: Path, settings: DrawnCars, models: list[DrawnModel], workers: int) -> Iterator[int]:
    """Draw all models, in this process or in several; yields the number of photos of each."""
    if workers == 1:
        for model in models:
            yield _draw_model(folder, settings, model)
        return
    try:
        yield from each(_draw_model, ((folder, settings, model) for model in models), workers, ordered=False)
    except BrokenProcessPool:
        raise KcarsError("drawn cars: a worker process ended early (out of memory?); try fewer workers") from None


def _draw_model(folder: Path, settings: DrawnCars, model: DrawnModel) -> int:
    """Draw one model's photos and write them with their labels; returns their number."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # One thread per process: all cores are in use, and sums keep their order.
    try:
        mesh = car_mesh(model.style, model.shape)
        for number, (path, viewpoint) in enumerate(zip(model.paths, model.viewpoints, strict=True)):
            random = generator(settings.seed, "drawn photo", model.number * 1000 + number)
            weather = _weather(settings, model.number * 1000 + number)
            photo, box = draw_photo(mesh, viewpoint, random, settings.width_px, settings.height_px, weather)
            quality = int(random.integers(70, 97))
            jpeg = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
            write_file(folder / "image" / path, jpeg)
            label = f"{viewpoint}\n1\n{' '.join(map(str, box))}\n"
            write_file((folder / "label" / path).with_suffix(".txt"), label.encode())
    finally:
        cv2.setNumThreads(threads)
    return len(model.paths)


def _weather(settings: DrawnCars, photo: int) -> Weather:
    """The weather of a photo, from a separate generator, so that shares do not change other photos."""
    if not (settings.night or settings.rain or settings.occlusion):
        return CLEAR
    own = generator(settings.seed, "drawn weather", photo)
    night, rain, occluded = own.random(3) < (settings.night, settings.rain, settings.occlusion)
    return Weather(bool(night), bool(rain), bool(occluded), own) if night or rain or occluded else CLEAR


def drawn_models(settings: DrawnCars) -> list[DrawnModel]:
    """All models of the settings, with ids, names, shapes and photos."""
    seed, per_make = settings.seed, settings.models_per_make
    total = settings.makes * per_make
    random = generator(seed, "drawn models", 0)
    make_ids = 1 + np.sort(random.choice(settings.makes + 3, settings.makes, replace=False))
    model_ids = 1 + random.choice(total + total // 5 + 3, total, replace=False)
    photos = random.permutation(settings.sizes())
    orders = style_orders(random)
    models = []
    for make in range(settings.makes):
        own = generator(seed, "drawn make", make)
        style, shapes = make_style(own, make, orders), model_shapes(own, per_make)
        unseen = set(own.permutation(per_make)[: max(2, per_make // 4)].tolist())
        words = own.permutation(len(_MODELS))
        for k in range(per_make):
            number, lap = make * per_make + k, k // len(_MODELS)
            name = f"{_make_name(make)} {_MODELS[words[k % len(_MODELS)]]}" + (f" {lap + 1}" if lap else "")
            folder = f"{make_ids[make]}/{model_ids[number]}"
            paths, viewpoints = _photos(seed, number, int(photos[number]), folder)
            models.append(
                DrawnModel(
                    number=number,
                    make=make,
                    make_name=_make_name(make),
                    make_id=int(make_ids[make]),
                    model_id=int(model_ids[number]),
                    name=name,
                    unseen=k in unseen,
                    shape=shapes[k],
                    style=style,
                    paths=paths,
                    viewpoints=viewpoints,
                )
            )
    return models


def _make_name(make: int) -> str:
    lap = make // len(_MAKES)
    return _MAKES[make % len(_MAKES)] + (f" {lap + 1}" if lap else "")


def _photos(seed: int, number: int, count: int, folder: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Paths and viewpoints of a model's photos: two or three years, viewpoints as frequent as in CompCars."""
    random = generator(seed, "drawn photos", number)
    first = int(random.integers(2006, 2014))
    years = first + random.integers(0, int(random.integers(2, 4)), count)
    names = [f"{digits:014x}" for digits in random.choice(2**56, count, replace=False)]
    places = (np.arange(count) + random.random()) / count
    viewpoints = 1 + random.permutation(np.searchsorted(np.cumsum(_VIEWPOINTS)[:-1], places, side="right"))
    paths = tuple(f"{folder}/{year}/{name}.jpg" for year, name in zip(years, names, strict=True))
    return paths, tuple(viewpoints.tolist())
