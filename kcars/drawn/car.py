"""The parameters of a drawn car from its make (styling) and its model (proportions and details).

Nothing here depends on a photo: colour, light, place and background are drawn in `drawn_photo`.
Within a make the continuous details of the models have distinct levels, as the ranges of real makes,
so that two models of one make differ visibly in every view.
"""

from dataclasses import dataclass

import numpy as np

# Fractions along the car are measured from the nose. Metres: length, width, height, wheel radius, clearance.
# Fractions of the height: belt, nose, tail. Fractions of the length: windscreen foot, roof front,
# roof rear, rear-window foot, front axle, rear axle. Then doors and the type's number in CompCars.
BODIES = {
    "sedan": (4.75, 1.84, 1.45, 0.33, 0.19, 0.63, 0.50, 0.66, 0.27, 0.42, 0.68, 0.84, 0.19, 0.79, 4, 3),
    "hatchback": (4.10, 1.78, 1.50, 0.32, 0.19, 0.61, 0.51, 0.61, 0.23, 0.38, 0.84, 0.97, 0.19, 0.83, 4, 4),
    "suv": (4.65, 1.90, 1.76, 0.39, 0.27, 0.60, 0.54, 0.60, 0.23, 0.34, 0.89, 0.98, 0.18, 0.80, 4, 2),
    "pickup": (5.30, 1.92, 1.80, 0.41, 0.32, 0.60, 0.56, 0.58, 0.23, 0.33, 0.53, 0.57, 0.16, 0.77, 4, 8),
    "van": (4.90, 1.90, 2.00, 0.33, 0.21, 0.52, 0.43, 0.52, 0.10, 0.25, 0.96, 0.99, 0.16, 0.80, 4, 1),
    "coupe": (4.45, 1.86, 1.29, 0.35, 0.15, 0.64, 0.47, 0.68, 0.33, 0.49, 0.65, 0.90, 0.18, 0.79, 2, 10),
    "estate": (4.80, 1.84, 1.48, 0.33, 0.19, 0.61, 0.50, 0.61, 0.26, 0.40, 0.89, 0.98, 0.19, 0.78, 4, 7),
    "city": (3.40, 1.62, 1.56, 0.28, 0.18, 0.56, 0.49, 0.56, 0.15, 0.31, 0.90, 0.98, 0.16, 0.84, 2, 4),
    "offroader": (4.20, 1.86, 1.90, 0.41, 0.33, 0.60, 0.58, 0.60, 0.29, 0.34, 0.97, 0.99, 0.17, 0.80, 2, 2),
}
GRILLES = (
    "trapezoid",
    "hexagon",
    "twin",
    "slot",
    "oval",
    "shield",
    "tall",
    "bar",
    "wide",
    "wing",
    "square",
    "smile",
)
PATTERNS = ("slats", "bars", "mesh", "cross", "plain", "chevron")
LAMPS = (
    "box",
    "slant",
    "round",
    "slim",
    "upright",
    "drop",
    "twin",
    "claw",
    "split",
    "wedge",
    "square",
    "blade",
)
REAR_LAMPS = (
    "upright",
    "wide",
    "bridge",
    "round",
    "corner",
    "wedge",
    "hook",
    "twin",
    "blocks",
    "thin",
    "arrow",
    "low",
)
BADGES = ("disc", "diamond", "bar", "triangle", "cross", "ring")
LINES = ("straight", "rising", "falling", "double", "arc", "low", "none")
RIMS = ("straight", "twin", "turbine", "disc", "mesh", "star")


@dataclass(frozen=True)
class MakeStyle:
    """The styling shared by all models of a make; names are keys of the tables above."""

    grille: str
    pattern: str
    lamp: str
    rear_lamp: str
    badge: str
    badge_colour: int
    line: str
    rim: str
    kink: float  # rise of the window sill at the rear, fraction of the window height
    bow: float  # metres by which the nose is rounded in plan
    rake: float  # metres by which the top of the nose lies back
    shoulder: float  # how far the side bulges, 0..1
    square_arches: bool
    chrome: bool
    creases: int  # lines on the bonnet
    light_line: int  # 0 none, 1 bright line under the headlamp, 2 over it, 3 around its inner end


@dataclass(frozen=True)
class ModelShape:
    """Proportions (metres, fractions) and details of one model; levels lie in 0..1."""

    body: str
    length: float
    width: float
    height: float
    wheel: float
    clearance: float
    belt: float
    nose: float
    tail: float
    cowl: float
    roof_front: float
    roof_rear: float
    rear_foot: float
    front_axle: float
    rear_axle: float
    doors: int
    type_number: int
    roof_width: float  # of the body width
    grille_height: float
    grille_width: float
    lamp_size: float
    lamp_height: float
    rear_lamp_size: float
    rear_lamp_height: float
    rim_size: float
    mirror: float
    pillar: float
    window_height: float
    spokes: int
    intake: int  # 0 one wide, 1 three, 2 trapezoid, 3 slit, 4 two tall, 5 none
    fog: int  # 0 none, 1 round, 2 bar, 3 upright
    exhausts: int  # 0, 1, 2 pipes, 3 a wide middle one
    cladding: int  # 0 none, 1 sill, 2 sill and arches
    skid: bool  # bright plate under both bumpers
    rails: int  # 0 none, 1 black, 2 bright
    dark_roof: bool
    spoiler: bool
    plate_high: bool
    quarter: bool  # a third side window
    dark_mirrors: bool
    scoop: bool
    moulding: bool


def make_style(generator: np.random.Generator, make: int, order: dict[str, np.ndarray]) -> MakeStyle:
    """The styling of one make; `order` holds permutations that keep the first twelve makes apart."""

    def turn(names: tuple, key: str):
        return names[order[key][make % len(order[key])] % len(names)]

    return MakeStyle(
        grille=turn(GRILLES, "grille"),
        pattern=turn(PATTERNS, "pattern"),
        lamp=turn(LAMPS, "lamp"),
        rear_lamp=turn(REAR_LAMPS, "rear_lamp"),
        badge=turn(BADGES, "badge"),
        badge_colour=int(generator.integers(4)),
        line=turn(LINES, "line"),
        rim=turn(RIMS, "rim"),
        kink=float(generator.choice([0.0, 0.25, 0.5])),
        bow=float(generator.uniform(0.12, 0.38)),
        rake=float(generator.uniform(0.05, 0.22)),
        shoulder=float(generator.uniform(0.0, 1.0)),
        square_arches=bool(generator.integers(2)),
        chrome=bool(generator.integers(2)),
        creases=int(generator.integers(0, 3)),
        light_line=int(generator.integers(4)),
    )


def style_orders(generator: np.random.Generator) -> dict[str, np.ndarray]:
    """A permutation of twelve for each styling table, common to all makes."""
    return {
        key: generator.permutation(12) for key in ("grille", "pattern", "lamp", "rear_lamp", "badge", "line", "rim")
    }


_LEVELS = ("grille_height", "grille_width", "lamp_size", "lamp_height", "rear_lamp_size", "rear_lamp_height",
           "rim_size", "mirror", "pillar", "window_height")  # fmt: skip
_KINDS = {"intake": 6, "fog": 4, "exhausts": 4, "cladding": 3, "rails": 3}
_FLAGS = ("skid", "spoiler", "plate_high", "quarter", "dark_mirrors", "scoop", "moulding")


def model_shapes(generator: np.random.Generator, models: int) -> list[ModelShape]:
    """The models of one make: different body types as far as possible, details on spread-out levels."""
    bodies = np.concatenate([generator.permutation(len(BODIES)) for _ in range(-(-models // len(BODIES)))])[:models]
    levels = {name: _spread(generator, models) for name in _LEVELS}
    kinds = {name: _dealt(generator, models, count) for name, count in _KINDS.items()}
    flags = {name: _dealt(generator, models, 2) for name in _FLAGS}
    dark_roofs = _dealt(generator, models, 4)
    spokes = _dealt(generator, models, 5)
    return [
        ModelShape(
            **_proportions(generator, list(BODIES)[bodies[model]]),  # pyright: ignore[reportArgumentType]  Each name has its own type.
            **{name: float(levels[name][model]) for name in _LEVELS},
            **{name: int(kinds[name][model]) for name in _KINDS},
            **{name: bool(flags[name][model]) for name in _FLAGS},
            dark_roof=bool(dark_roofs[model] == 0),
            spokes=(4, 5, 6, 7, 9)[spokes[model]],
        )
        for model in range(models)
    ]


def _spread(generator: np.random.Generator, models: int) -> np.ndarray:
    """Levels in 0..1, one in each of `models` equal bands, in random order."""
    return (generator.permutation(models) + generator.uniform(0.2, 0.8, models)) / models


def _dealt(generator: np.random.Generator, models: int, kinds: int) -> np.ndarray:
    """Kinds 0..kinds-1 dealt as evenly as possible, starting at a random one."""
    return generator.permutation((np.arange(models) + generator.integers(kinds)) % kinds)


def _proportions(generator: np.random.Generator, body: str) -> dict:
    """The body type's proportions, each varied by a few per cent."""
    (length, width, height, wheel, clearance, belt, nose, tail, cowl, roof_front, roof_rear, rear_foot,
     front_axle, rear_axle, doors, type_number) = BODIES[body]  # fmt: skip

    def vary(value: float, share: float) -> float:
        return float(value * generator.uniform(1 - share, 1 + share))

    def shift(value: float, by: float) -> float:
        return float(value + generator.uniform(-by, by))

    rear_foot = min(shift(rear_foot, 0.02), 0.99)
    if body in ("hatchback", "coupe", "suv", "city"):
        doors = int(generator.choice([2, 4])) if body != "suv" else 4
    return {
        "body": body,
        "length": vary(length, 0.06),
        "width": vary(width, 0.04),
        "height": vary(height, 0.05),
        "wheel": vary(wheel, 0.07),
        "clearance": vary(clearance, 0.12),
        "belt": shift(belt, 0.025),
        "nose": shift(nose, 0.035),
        "tail": shift(tail, 0.02),
        "cowl": shift(cowl, 0.02),
        "roof_front": shift(roof_front, 0.02),
        "roof_rear": min(shift(roof_rear, 0.03), rear_foot - 0.015),
        "rear_foot": rear_foot,
        "front_axle": shift(front_axle, 0.015),
        "rear_axle": shift(rear_axle, 0.015),
        "doors": doors,
        "type_number": type_number,
        "roof_width": float(generator.uniform(0.66, 0.82)) + (0.06 if body in ("van", "offroader") else 0.0),
    }
