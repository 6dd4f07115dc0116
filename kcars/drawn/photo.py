"""One photo of a drawn car: camera, light, background, paint, lens.

Everything here is specific to the photo and comes from its generator, independent of model and make.
Photos are drawn at twice the size and reduced, which smooths the edges without seams between faces.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from kcars.drawn import mesh as parts
from kcars.drawn.mesh import Mesh
from kcars.drawn.place import background
from kcars.drawn.weather import Weather

CLEAR = Weather()

FRONT, REAR, SIDE, FRONT_SIDE, REAR_SIDE = 1, 2, 3, 4, 5  # CompCars' numbers
_TURNS = {
    FRONT: (0, 13),
    REAR: (180, 13),
    SIDE: (90, 13),
    FRONT_SIDE: (43, 15),
    REAR_SIDE: (137, 15),
}  # degrees
PAINTS = np.array([
    (236, 236, 232), (232, 231, 226), (178, 181, 186), (128, 132, 138), (74, 78, 84), (38, 39, 42), (34, 34, 37),
    (170, 28, 32), (120, 22, 36), (32, 62, 130), (24, 36, 72), (88, 132, 176), (38, 88, 62), (196, 184, 156),
    (112, 82, 58), (206, 104, 32), (222, 182, 44), (42, 118, 122),
], float)  # fmt: skip
_COLOURS = {
    parts.GLASS: (34, 40, 46), parts.BLACK: (38, 38, 40), parts.DARK: (16, 16, 18), parts.TYRE: (30, 30, 32),
    parts.RIM: (176, 178, 182), parts.CHROME: (212, 214, 218), parts.LAMP: (166, 174, 184),
    parts.BRIGHT: (248, 248, 240), parts.RED: (196, 26, 30), parts.AMBER: (240, 150, 40), parts.PLATE: (228, 228, 220),
    parts.BADGE_RED: (200, 30, 36), parts.BADGE_BLUE: (40, 80, 190), parts.BADGE_GOLD: (214, 176, 70),
    parts.DEEP_RED: (92, 12, 18),
}  # fmt: skip
_SHARES = 16  # cv2's coordinates are in sixteenths of a pixel


@dataclass(frozen=True)
class Camera:
    """The position of the camera (metres) and its projection onto the drawing (pixels)."""

    place: np.ndarray
    axes: np.ndarray  # rows: right, down, forward
    scale: float
    shift: np.ndarray

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) for points (n, 3) in front of the camera."""
        seen = (points - self.place) @ self.axes.T
        return seen[:, :2] / np.maximum(seen[:, 2:], 0.1) * self.scale + self.shift

    def horizon(self) -> float:
        """The row of the horizon above or below the middle of the view."""
        forward = self.axes[2] * np.array([1, 1, 0])
        return float(self.axes[1] @ forward / (self.axes[2] @ forward) * self.scale + self.shift[1])


def draw_photo(mesh: Mesh, viewpoint: int, generator: np.random.Generator, width: int, height: int, weather=CLEAR):
    """(image (height, width, 3) RGB uint8, box (x1, y1, x2, y2) 1-based inclusive) of the car from a viewpoint."""
    vertices = _rolled(mesh, generator.uniform(0, 2 * np.pi))
    place, axes = _stand(viewpoint, generator)
    faces = _visible(mesh, place)
    camera = _framed(Camera(place, axes, 1.0, np.zeros(2)), vertices, mesh, faces, generator, 2 * width, 2 * height)
    light = _light(generator)
    image = background(camera.horizon(), generator, 2 * width, 2 * height)
    _shadow(image, camera, vertices, light, generator)
    colours = _shade(mesh, place, light, generator)
    pixels = camera.project(vertices)
    _paint(image, mesh, _in_order(mesh, faces, place), pixels, colours)
    owned = np.repeat(np.isin(np.arange(len(mesh.materials)), faces), np.diff(mesh.starts))
    low, high = pixels[owned].min(axis=0) / 2, pixels[owned].max(axis=0) / 2
    if weather != CLEAR:
        image = weather.apply(image, _lamps(image, mesh, faces, place, pixels), 2 * np.concatenate([low, high]))
    box = (
        *(int(n) for n in np.maximum(np.floor(low), 0) + 1),
        *(int(n) for n in np.minimum(np.ceil(high), (width, height))),
    )
    return _exposed(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), generator), box


def _lamps(image: np.ndarray, mesh: Mesh, faces: np.ndarray, place: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Only the lit lamps; anything in front of them is black."""
    lamps = np.zeros_like(image)
    colours = np.zeros((len(mesh.materials), 3))
    for material in (parts.BRIGHT, parts.RED):
        colours[mesh.materials == material] = _COLOURS[material]
    _paint(lamps, mesh, _in_order(mesh, faces, place), pixels, colours)
    return lamps


def _rolled(mesh: Mesh, angle: float) -> np.ndarray:
    """The vertices with all rims turned by an angle about their axles, as of a rolling car."""
    turning = ~np.isnan(mesh.hubs[:, 0])
    vertices = mesh.vertices.copy()
    arm = vertices[turning] - mesh.hubs[turning]
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = np.stack([cosine * arm[:, 0] - sine * arm[:, 2], arm[:, 1], sine * arm[:, 0] + cosine * arm[:, 2]], -1)
    vertices[turning] = mesh.hubs[turning] + turned
    return vertices


def _stand(viewpoint: int, generator: np.random.Generator):
    """Position of the camera and its axes (right, down, forward), on either side of the car."""
    middle, jitter = _TURNS[viewpoint]
    turn = np.radians(middle + generator.uniform(-jitter, jitter)) * generator.choice([-1, 1])
    rise, distance = np.radians(generator.uniform(3, 14)), generator.uniform(7.5, 14)
    away = np.array([np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)])
    tilt = np.radians(generator.normal(0, 1.2))
    forward = -away
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.sqrt(right @ right)
    down = np.cross(forward, right)
    axes = np.stack([np.cos(tilt) * right + np.sin(tilt) * down, np.cos(tilt) * down - np.sin(tilt) * right, forward])
    return np.array([0, 0, 0.7]) + distance * away, axes


def _visible(mesh: Mesh, place: np.ndarray) -> np.ndarray:
    """Numbers of the faces towards the camera; mirrors and wings in one of their two layers."""
    seen = np.einsum("ij,ij->i", mesh.normals, place - mesh.centres) > 0
    near_mirror = np.sign(mesh.centres[:, 1]) * place[1] > 0.8 * np.abs(mesh.centres[:, 1])
    near_wing = place[0] < 0
    seen &= ~((mesh.layers == parts.NEAR_MIRROR) & ~near_mirror) & ~((mesh.layers == parts.FAR_MIRROR) & near_mirror)
    return np.flatnonzero(seen & (mesh.layers != (parts.FAR_WING if near_wing else parts.NEAR_WING)))


def _framed(camera: Camera, vertices, mesh: Mesh, faces, generator, width: int, height: int) -> Camera:
    """The camera zoomed and shifted so that the car fills a random share of the photo at a random place."""
    owned = np.repeat(np.isin(np.arange(len(mesh.materials)), faces), np.diff(mesh.starts))
    flat = camera.project(vertices[owned])
    low, high = flat.min(axis=0), flat.max(axis=0)
    share = generator.uniform(0.70, 0.94)
    scale = share * min(width / (high[0] - low[0]), height / (high[1] - low[1]))
    room = np.array([width, height]) - scale * (high - low)
    corner = room * generator.uniform([0.15, 0.35], [0.85, 0.9])
    return Camera(camera.place, camera.axes, float(scale), corner - scale * low)


def _in_order(mesh: Mesh, faces: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The faces in drawing order: by layer, then from far to near or as given."""
    away = mesh.centres[faces] - place
    second = np.where(np.isin(mesh.layers[faces], parts.SORTED_LAYERS), -np.einsum("ij,ij->i", away, away), faces)
    return faces[np.lexsort((second, mesh.layers[faces]))]


@dataclass(frozen=True)
class Light:
    toward: np.ndarray  # unit, to the light
    sun: float
    ambient: float
    sky: np.ndarray  # colour


def _light(generator: np.random.Generator) -> Light:
    turn, rise = generator.uniform(0, 2 * np.pi), np.radians(generator.uniform(25, 75))
    toward = np.array([np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)])
    sky = np.array([(150, 185, 225), (205, 210, 215), (225, 200, 175), (120, 130, 145)])[generator.integers(4)]
    return Light(toward, generator.uniform(0.1, 0.65), generator.uniform(0.5, 0.75), sky + generator.normal(0, 8, 3))


def _shade(mesh: Mesh, place: np.ndarray, light: Light, generator: np.random.Generator) -> np.ndarray:
    """Colours (faces, 3) under the light, for one paint drawn from the common palette."""
    paint = np.clip(PAINTS[generator.integers(len(PAINTS))] + generator.normal(0, 10, 3), 12, 246)
    table = np.zeros((parts.DEEP_RED + 1, 3))
    table[parts.PAINT] = table[parts.ROOF_PAINT] = paint
    table[parts.GROOVE], table[parts.RIDGE] = 0.45 * paint, np.minimum(1.2 * paint + 22, 255)
    for material, colour in _COLOURS.items():
        table[material] = colour
    table[parts.RIM] *= generator.uniform(0.75, 1.05)
    table[parts.PLATE] = ((232, 232, 226), (226, 196, 70), (70, 100, 190))[generator.choice(3, p=[0.6, 0.25, 0.15])]
    base = table[mesh.materials]
    facing = np.maximum(mesh.normals @ light.toward, 0)
    upward = 0.5 + 0.5 * mesh.normals[:, 2]
    strength = light.ambient * (0.72 + 0.5 * upward) + light.sun * facing
    lit = base * strength[:, None]
    shiny = np.isin(mesh.materials, (parts.PAINT, parts.ROOF_PAINT, parts.GLASS, parts.CHROME, parts.RIDGE))
    mirrored = np.where(mesh.materials == parts.GLASS, 0.45, 0.16) * shiny * upward**2 * generator.uniform(0.4, 1.3)
    lit = lit * (1 - mirrored[:, None]) + light.sky * mirrored[:, None]
    toward = place - mesh.centres
    half = toward / np.linalg.norm(toward, axis=1, keepdims=True) + light.toward
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    glint = shiny * light.sun * 150 * np.maximum(np.einsum("ij,ij->i", mesh.normals, half), 0) ** 40
    glowing = np.isin(mesh.materials, (parts.BRIGHT, parts.RED, parts.AMBER))
    lit[glowing] = np.maximum(lit[glowing], 0.75 * base[glowing])
    return np.clip(lit + glint[:, None], 0, 255)


def _paint(image: np.ndarray, mesh: Mesh, faces, pixels: np.ndarray, colours: np.ndarray) -> None:
    points = np.rint(pixels * _SHARES).astype(np.int32)
    for face, colour in zip(faces.tolist(), colours[faces].tolist(), strict=True):
        polygon = points[mesh.starts[face] : mesh.starts[face + 1]]
        if len(polygon) <= 4:
            cv2.fillConvexPoly(image, polygon, colour, cv2.LINE_8, 4)
        else:
            cv2.fillPoly(image, [polygon], colour, cv2.LINE_8, 4)


def _shadow(image: np.ndarray, camera: Camera, vertices: np.ndarray, light: Light, generator) -> None:
    """Darkens the ground under the car and on its lee side."""
    low, high = vertices.min(axis=0) * 0.97, vertices.max(axis=0) * 0.97
    foot = np.array([(low[0], low[1], 0), (high[0], low[1], 0), (high[0], high[1], 0), (low[0], high[1], 0)])
    reach = -light.toward / light.toward[2] * np.array([1, 1, 0]) * generator.uniform(0.1, 0.9) * light.sun
    outline = cv2.convexHull(camera.project(np.concatenate([foot, foot + reach])).astype(np.float32))
    small = np.zeros((image.shape[0] // 4, image.shape[1] // 4), np.float32)
    cv2.fillConvexPoly(small, np.rint(outline * 4).astype(np.int32), 1.0, cv2.LINE_AA, 4)
    small = cv2.GaussianBlur(small, (0, 0), generator.uniform(1.0, 3.0)) * generator.uniform(0.35, 0.75)
    dark = cv2.resize(small, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    image[:] = (image * (1 - dark[:, :, None])).astype(np.uint8)


def _exposed(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The photo after lens and sensor: blur, contrast, brightness, colour cast, grain."""
    photo = image.astype(np.float32)
    blur = generator.uniform(0.0, 0.8)
    if blur > 0.2:
        photo = cv2.GaussianBlur(photo, (0, 0), blur)
    cast = generator.normal(1.0, 0.05, 3).astype(np.float32)
    photo = (photo - 118) * np.float32(generator.uniform(0.7, 1.15)) + np.float32(122 + generator.normal(0, 11))
    grain = generator.standard_normal(photo.shape, dtype=np.float32) * np.float32(generator.uniform(1.0, 7.0))
    return np.clip(photo * cast + grain, 0, 255).astype(np.uint8)
