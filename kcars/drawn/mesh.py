"""The surfaces of a drawn car and the primitives that add faces to them.

Metres; x forward, y to the left, z up, the ground at z = 0. A surface is a function of two arrays (a, v):
for the nose and the tail a runs from -1 (right corner) to 1 (left corner) and continues along the sides
beyond; v runs from the bottom (0) to the top (1).
"""

from dataclasses import dataclass

import numpy as np

from kcars.drawn.car import MakeStyle, ModelShape

# Materials. The first four take the photo's paint.
(PAINT, GROOVE, RIDGE, ROOF_PAINT, GLASS, BLACK, DARK, TYRE, RIM, CHROME, LAMP, BRIGHT, RED, AMBER, PLATE, BADGE_RED,
 BADGE_BLUE, BADGE_GOLD, DEEP_RED) = range(19)  # fmt: skip
# Drawing layers, first to last. Faces of a sorted layer are drawn from far to near, those of others in the given order.
(UNDER, TREAD, BODY, BODY_DETAIL, WHEEL, FAR_MIRROR, FAR_WING, CABIN, CABIN_DETAIL, TOP, NEAR_MIRROR,
 NEAR_WING) = range(12)  # fmt: skip
SORTED_LAYERS = (UNDER, TREAD, BODY, FAR_MIRROR, FAR_WING, CABIN, TOP, NEAR_MIRROR, NEAR_WING)


@dataclass(frozen=True)
class Mesh:
    """Faces of one car: vertices (n, 3); face f owns vertices starts[f]:starts[f + 1]."""

    vertices: np.ndarray
    starts: np.ndarray
    materials: np.ndarray
    layers: np.ndarray
    normals: np.ndarray  # (faces, 3) unit, outward
    centres: np.ndarray  # (faces, 3)
    hubs: np.ndarray  # (n, 3): the axle about which a rim's vertex turns; NaN elsewhere


class MeshBuilder:
    """Collects faces and turns each one outward."""

    def __init__(self):
        self.faces, self.materials, self.layers, self.normals, self.hubs = [], [], [], [], []

    def add(self, points: np.ndarray, material: int, layer: int, inside=None, hub=None) -> None:
        """One face (k, 3); `inside` is a point behind it, by default one on the car's axis."""
        points = np.asarray(points, float)
        ahead = np.concatenate([points[1:], points[:1]])
        normal = np.cross(points, ahead).sum(axis=0)  # Newell: holds for faces that are not quite flat
        size = np.sqrt(normal @ normal)
        if size < 1e-9:
            return
        centre = points.mean(axis=0)
        inside = np.array([0.7 * centre[0], 0.0, 0.45]) if inside is None else np.asarray(inside, float)
        if normal @ (centre - inside) < 0:
            points, normal = points[::-1], -normal
        self.faces.append(points)
        self.materials.append(material)
        self.layers.append(layer)
        self.normals.append(normal / size)
        self.hubs.append(np.full((len(points), 3), np.nan) if hub is None else np.tile(hub, (len(points), 1)))

    def mesh(self) -> Mesh:
        starts = np.concatenate([[0], np.cumsum([len(face) for face in self.faces])])
        return Mesh(
            np.concatenate(self.faces),
            starts,
            np.array(self.materials),
            np.array(self.layers),
            np.array(self.normals),
            np.array([face.mean(axis=0) for face in self.faces]),
            np.concatenate(self.hubs),
        )

    def strip(self, surface, stations, material: int, layer: int = BODY_DETAIL, mirror: bool = True,
              step: float = 0.25) -> None:  # fmt: skip
        """Quads between successive stations (a, low, high) of a surface, and their mirror image."""
        a, low, high = _finer(np.asarray(stations, float), step).T
        for sign in (1, -1) if mirror else (1,):
            below, above = surface(sign * a, low), surface(sign * a, high)
            for k in range(len(a) - 1):
                self.add(np.stack([below[k], below[k + 1], above[k + 1], above[k]]), material, layer)

    def oval(self, surface, centre, radii, material: int, layer: int = BODY_DETAIL, mirror=True, sides=12) -> None:
        """An ellipse (or with few sides a diamond, a triangle) on a surface, and its mirror image."""
        angle = 2 * np.pi * np.arange(sides) / sides + np.pi / 2
        a, v = centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)
        for sign in (1, -1) if mirror and centre[0] else (1,):
            self.add(surface(sign * a, v), material, layer)

    def box(self, low, high, material: int, layer: int) -> None:
        """A box with sides along the axes."""
        corners = np.array(np.meshgrid(*zip(low, high, strict=True), indexing="ij")).reshape(3, 8).T
        for face in ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)):
            self.add(corners[list(face)], material, layer, inside=corners.mean(axis=0))


def _finer(stations: np.ndarray, step: float) -> np.ndarray:
    """Stations with extra ones between those more than `step` apart, so that strips follow a curved surface."""
    pieces = []
    for left, right in zip(stations, stations[1:], strict=False):
        count = max(1, int(np.ceil(abs(right[0] - left[0]) / step)))
        pieces.append(left + (right - left) * (np.arange(count) / count)[:, None])
    return np.concatenate([*pieces, stations[-1:]])


class Surfaces:
    """The body below the window sill (a ring around the car) and the cabin above it."""

    def __init__(self, style: MakeStyle, shape: ModelShape):
        half = shape.length / 2
        self.style, self.shape = style, shape
        self.nose_x, self.tail_x = half, -half
        self.half_width = shape.width / 2
        self.bow, self.tail_bow = style.bow, 0.6 * style.bow + 0.03
        self.corner = self.half_width * (0.93 - 0.2 * style.bow)
        self.tail_corner = self.half_width * 0.92
        self.belt_z, self.nose_z, self.tail_z = (shape.height * share for share in (shape.belt, shape.nose, shape.tail))
        at = {name: half - shape.length * getattr(shape, name)
              for name in ("cowl", "roof_front", "roof_rear", "rear_foot", "front_axle", "rear_axle")}  # fmt: skip
        self.cowl_x, self.roof_front_x, self.roof_rear_x = at["cowl"], at["roof_front"], at["roof_rear"]
        self.rear_foot_x, self.front_axle_x, self.rear_axle_x = (
            at["rear_foot"],
            at["front_axle"],
            at["rear_axle"],
        )
        self.side_front_x, self.side_rear_x = self.nose_x - self.bow, self.tail_x + self.tail_bow

    def top(self, x):
        """Height of the bonnet, the sill or the deck at x."""
        middle = (self.cowl_x + 2 * self.nose_x) / 3
        swell = 0.25 * self.nose_z + 0.75 * self.belt_z - 0.35 * (self.belt_z - self.nose_z)
        nodes = [self.tail_x, min(self.rear_foot_x, self.cowl_x - 0.1), self.cowl_x, middle, self.nose_x]
        return np.interp(x, nodes, [self.tail_z, self.belt_z, self.belt_z, swell, self.nose_z])

    def bottom(self, x):
        rise = 0.35 * self.shape.clearance
        nodes = [self.tail_x, self.rear_axle_x, self.front_axle_x, self.nose_x]
        return np.interp(
            x,
            nodes,
            [self.shape.clearance + rise, *[self.shape.clearance] * 2, self.shape.clearance + rise / 2],
        )

    def ring(self, s, t):
        """Left half of the body: s 0..1 nose from its middle, 1..2 side, 2..3 tail; t bottom to top; (n, 3)."""
        s, t = np.broadcast_arrays(np.asarray(s, float), np.asarray(t, float))
        side = s - 1
        front_x = self.nose_x - self.bow * np.clip(s, 0, 1) ** 2.2
        rear_x = self.tail_x + self.tail_bow * np.clip(3 - s, 0, 1) ** 2.2
        x = np.where(
            s <= 1,
            front_x,
            np.where(s <= 2, self.side_front_x + (self.side_rear_x - self.side_front_x) * side, rear_x),
        )
        narrow = (1 - self.corner / self.half_width) * np.clip(1 - side / 0.14, 0, 1) ** 2
        narrow = narrow + (1 - self.tail_corner / self.half_width) * np.clip(1 - (1 - side) / 0.14, 0, 1) ** 2
        y = np.where(
            s <= 1,
            self.corner * s,
            np.where(s <= 2, self.half_width * (1 - narrow), self.tail_corner * (3 - s)),
        )
        bulge = 0.03 + 0.05 * self.style.shoulder
        y = y * np.interp(t, [0, 0.25, 0.6, 0.85, 1], [1 - bulge, 0.985, 1, 1 - bulge / 2, 0.93])
        z = self.bottom(x) + t * (self.top(x) - self.bottom(x))
        front, rear = np.clip(1 - side / 0.12, 0, 1), np.clip(1 - (1 - side) / 0.12, 0, 1)
        upright = 0.5 if self.shape.body in ("van", "offroader", "pickup") else 1.0
        x = x + front * np.interp(t, [0, 0.28, 0.45, 1], [-0.09, 0, -0.04, -self.style.rake * upright])
        x = x + rear * np.interp(t, [0, 0.28, 0.45, 1], [0.09, 0, 0.04, 0.06 + 0.3 * self.style.rake * upright])
        return np.stack([x, y, z], axis=-1)

    def nose(self, a, v):
        """Points of the nose; |a| > 1 continues along the sides, in units of the nose's half width."""
        s = self._around(np.abs(a))
        return self.ring(s, v) * np.where(np.asarray(a) < 0, -1, 1)[..., None] ** np.array([0, 1, 0])

    def tail(self, a, v):
        s = 3 - self._around(np.abs(a))
        return self.ring(s, v) * np.where(np.asarray(a) < 0, -1, 1)[..., None] ** np.array([0, 1, 0])

    def _around(self, a):
        return np.where(a <= 1, a, 1 + (a - 1) * self.corner / (self.side_front_x - self.side_rear_x))

    def side(self, sign: int):
        """The surface (x, z) -> point of one side, in metres."""

        def at(x, z):
            x, z = np.broadcast_arrays(np.asarray(x, float), np.asarray(z, float))
            s = 1 + np.clip((x - self.side_front_x) / (self.side_rear_x - self.side_front_x), 0, 1)
            t = (z - self.bottom(x)) / (self.top(x) - self.bottom(x))
            return self.ring(s, np.clip(t, -1, 1)) * np.array([1, sign, 1])

        return at

    def cabin(self, q, v):
        """Left side of the cabin: q 0 at the windscreen to 1 at the rear window, v sill to roof; (n, 3)."""
        q, v = np.broadcast_arrays(np.asarray(q, float), np.asarray(v, float))
        foot_x = self.cowl_x + (self.rear_foot_x - self.cowl_x) * q
        foot_y = self.half_width * (0.90 - 0.05 * (2 * q - 1) ** 2)
        roof_x = self.roof_front_x + (self.roof_rear_x - self.roof_front_x) * q
        roof_y = self.half_width * self.shape.roof_width * (1 - 0.06 * (2 * q - 1) ** 2)
        drop = 0.12 if self.shape.body in ("coupe", "sedan", "city") else 0.05
        roof_z = self.shape.height - 0.03 - drop * (q - 0.35) ** 2
        foot_z = self.top(foot_x)
        y = foot_y + (roof_y - foot_y) * v + 0.05 * np.sin(np.pi * v)
        return np.stack([foot_x + (roof_x - foot_x) * v, y, foot_z + (roof_z - foot_z) * v], axis=-1)

    def cabin_side(self, sign: int):
        return lambda q, v: self.cabin(q, v) * np.array([1, sign, 1])

    def windscreen(self, a, v):
        """a -1..1 across, v sill to roof."""
        return self._across(0.0, a, v, 0.14)

    def rear_window(self, a, v):
        return self._across(1.0, a, v, -0.08)

    def _across(self, q: float, a, v, bow: float):
        a, v = np.broadcast_arrays(np.asarray(a, float), np.asarray(v, float))
        edge = self.cabin(q, v)
        return np.stack([edge[..., 0] + bow * (1 - a**2), edge[..., 1] * a, edge[..., 2]], axis=-1)

    def roof(self, a, q):
        """a -1..1 across, q front to rear."""
        a, q = np.broadcast_arrays(np.asarray(a, float), np.asarray(q, float))
        edge = self.cabin(q, 1.0)
        bow = np.interp(q, [0, 0.25, 0.8, 1], [0.14, 0, 0, -0.08]) * (1 - a**2)
        return np.stack([edge[..., 0] + bow, edge[..., 1] * a, edge[..., 2] + 0.05 * (1 - a**2)], axis=-1)
