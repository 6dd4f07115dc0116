"""Example photos for the page: newly drawn cars."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from kcars.core.rng import generator
from kcars.drawn.cabin import car_mesh
from kcars.drawn.lists import DrawnModel
from kcars.drawn.photo import FRONT_SIDE, REAR_SIDE, SIDE, draw_photo
from kcars.drawn.synthetic import DrawnCars, drawn_models
from kcars.images.decode import cut

WIDTH_PX, HEIGHT_PX = 480, 320
SINGLE = 6
VIEWS = (FRONT_SIDE, SIDE, REAR_SIDE)


@dataclass(frozen=True)
class Examples:
    """Example files. single: (name, file) of training models; pairs: (description, left, right) of unseen models."""

    single: list[tuple[str, Path]]
    pairs: list[tuple[str, Path, Path]]


def draw_examples(folder: Path, margin: float | None) -> Examples:
    """Draw examples into an existing folder. The models are those of the drawn dataset; the photos are new.

    margin: border around the car, relative to its sides; None keeps photos whole.
    """
    models = drawn_models(DrawnCars())
    seen, unseen = ([model for model in models if model.unseen == rare] for rare in (False, True))
    chosen = seen[:: len(seen) // SINGLE][:SINGLE]
    single = [(model.name, _draw(folder, model, VIEWS[place % 3], place, margin)) for place, model in enumerate(chosen)]
    first, second = (model for model in unseen if model.make == unseen[0].make)  # A hard pair: two models of one make.
    other = unseen[-1]
    wanted = (("one model twice", first, first), ("two models of one make", first, second), ("two makes", first, other))
    pairs = [
        (description, _draw(folder, one, FRONT_SIDE, 10 + place, margin), _draw(folder, two, SIDE, 20 + place, margin))
        for place, (description, one, two) in enumerate(wanted)
    ]
    return Examples(single, pairs)


def _draw(folder: Path, model: DrawnModel, viewpoint: int, number: int, margin: float | None) -> Path:
    random = generator(0, "example photo", number)
    pixels, box = draw_photo(car_mesh(model.style, model.shape), viewpoint, random, WIDTH_PX, HEIGHT_PX)
    left, top, right, bottom = box
    if margin is not None:
        pixels = cut(pixels, (left - 1, top - 1, right, bottom), margin)
    file = folder / f"drawn-car-{number}.jpg"
    Image.fromarray(pixels).save(file, quality=90)
    return file
