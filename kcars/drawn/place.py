"""The background of a drawn car: blurred sky, street, houses and trees, independent of model and make."""

import cv2
import numpy as np

# Top and bottom of the sky; near and far ground.
_SKIES = np.array([
    ((92, 140, 205), (190, 212, 235)), ((150, 165, 182), (214, 218, 222)), ((172, 178, 186), (196, 199, 204)),
    ((120, 130, 165), (232, 186, 150)), ((110, 168, 225), (226, 234, 240)), ((96, 104, 120), (160, 166, 174)),
], float)  # fmt: skip
_GROUNDS = np.array([
    ((92, 92, 95), (124, 124, 126)), ((140, 138, 132), (164, 161, 154)), ((150, 132, 104), (172, 156, 128)),
    ((86, 112, 58), (112, 134, 78)), ((64, 66, 70), (98, 99, 102)), ((206, 208, 212), (222, 224, 228)),
    ((126, 92, 72), (150, 118, 96)),
], float)  # fmt: skip
_WALLS = np.array([
    (176, 160, 138), (150, 92, 74), (196, 190, 178), (128, 130, 134), (214, 204, 184), (108, 96, 88), (160, 170, 176),
    (96, 112, 130), (190, 140, 110),
], float)  # fmt: skip
_TREES = np.array([(52, 86, 40), (74, 104, 48), (40, 68, 38), (120, 112, 52), (146, 96, 46), (84, 92, 70)], float)


def background(horizon: float, generator: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Background (height, width, 3) uint8 with the horizon at row `horizon`; drawn at half size, because it is blurred."""
    w, h = width // 2, height // 2
    horizon = float(np.clip(horizon / 2, -0.1 * h, 0.75 * h))
    image = _sky_and_ground(horizon, generator, w, h)
    for _ in range(generator.integers(0, 5)):
        _house(image, horizon, generator)
    for _ in range(generator.integers(0, 5)):
        _tree(image, horizon, generator)
    _street(image, horizon, generator)
    for cells, strength in ((8, 10), (40, 8), (120, 5)):
        coarse = generator.standard_normal((max(2, cells * h // w), cells, 1), dtype=np.float32)
        image += (
            strength * generator.uniform(0, 1.5) * cv2.resize(coarse, (w, h), interpolation=cv2.INTER_LINEAR)[..., None]
        )
    image = cv2.GaussianBlur(image, (0, 0), generator.uniform(0.4, 2.5))
    return cv2.resize(np.clip(image, 0, 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)


def _varied(colours: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One of the colours (or tuples of colours), brighter or darker, with a slight cast."""
    chosen = colours[generator.integers(len(colours))]
    return chosen * generator.uniform(0.6, 1.15) + generator.normal(0, 7, 3)


def _sky_and_ground(horizon: float, generator: np.random.Generator, w: int, h: int) -> np.ndarray:
    rows = np.arange(h)[:, None, None]
    top, bottom = _varied(_SKIES, generator)
    near, far = _varied(_GROUNDS, generator)
    sky = top + (bottom - top) * np.clip(rows / max(horizon, 1), 0, 1)
    ground = far + (near - far) * np.clip((rows - horizon) / max(h - horizon, 1), 0, 1)
    return np.ascontiguousarray((np.where(rows < horizon, sky, ground) + np.zeros((h, w, 1))).astype(np.float32))


def _house(image: np.ndarray, horizon: float, generator: np.random.Generator) -> None:
    """Draws a wall on the horizon with rows of windows, and sometimes a roof."""
    h, w = image.shape[:2]
    wall = np.clip(_varied(_WALLS, generator), 10, 245)
    left, wide, high = (
        generator.uniform(-0.2, 1.0) * w,
        generator.uniform(0.15, 0.6) * w,
        generator.uniform(0.1, 0.7) * h,
    )
    foot, top = horizon + generator.uniform(0, 0.04) * h, horizon - high
    cv2.rectangle(image, _point(left, top), _point(left + wide, foot), wall.tolist(), -1)
    if generator.random() < 0.4:
        roof = np.array(
            [_point(left - 2, top), _point(left + wide + 2, top), _point(left + wide / 2, top - 0.35 * high)]
        )
        cv2.fillConvexPoly(image, roof, (0.6 * wall).tolist(), cv2.LINE_AA)
    glass = (wall * generator.uniform(0.4, 0.75) + np.array([0, 4, 12])).tolist()
    step = generator.uniform(0.07, 0.14) * w
    for x in np.arange(left + 0.3 * step, left + wide - 0.6 * step, step):
        for y in np.arange(top + 0.3 * step, foot - 0.9 * step, 1.2 * step):
            cv2.rectangle(image, _point(x, y), _point(x + 0.5 * step, y + 0.65 * step), glass, -1)


def _tree(image: np.ndarray, horizon: float, generator: np.random.Generator) -> None:
    h, w = image.shape[:2]
    x, size = generator.uniform(0, w), generator.uniform(0.05, 0.16) * w
    crown, foot = horizon - generator.uniform(0.6, 1.6) * size, horizon + generator.uniform(0, 0.03) * h
    cv2.line(image, _point(x, crown), _point(x, foot), (70, 58, 48), max(1, int(0.12 * size)))
    colour = _varied(_TREES, generator)
    for _ in range(14):
        place = _point(x + generator.normal(0, 0.4) * size, crown + generator.normal(0, 0.3) * size)
        leaves = np.clip(colour * generator.uniform(0.75, 1.25), 5, 235).tolist()
        cv2.circle(image, place, int(generator.uniform(0.2, 0.4) * size), leaves, -1, cv2.LINE_AA)


def _street(image: np.ndarray, horizon: float, generator: np.random.Generator) -> None:
    """Kerbs and lane markings, running towards one point on the horizon."""
    h, w = image.shape[:2]
    away = np.array([generator.uniform(-0.5, 1.5) * w, horizon])
    for _ in range(generator.integers(0, 4)):
        near = np.array([generator.uniform(-0.6, 1.6) * w, h])
        colour = (generator.uniform(120, 235),) * 3 if generator.random() < 0.7 else (200, 170, 60)
        width = int(generator.integers(1, 4))
        for start in (0.15, 0.45, 0.75) if generator.random() < 0.5 else (0.0,):
            end = start + 0.18 if start else 1.0
            begin, stop = [_point(*(away + (near - away) * share)) for share in (max(start, 0.05), end)]
            cv2.line(image, begin, stop, colour, width, cv2.LINE_AA)


def _point(x: float, y: float) -> tuple[int, int]:
    return int(x), int(y)
