"""The body below the window sill: its faces, and the details on the nose, the tail and the sides."""

import numpy as np

from kcars.drawn.car import MakeStyle, ModelShape
from kcars.drawn.mesh import (
    AMBER,
    BADGE_BLUE,
    BADGE_GOLD,
    BADGE_RED,
    BLACK,
    BODY,
    BODY_DETAIL,
    BRIGHT,
    CHROME,
    DARK,
    DEEP_RED,
    GROOVE,
    LAMP,
    PAINT,
    PLATE,
    RED,
    RIDGE,
    UNDER,
    MeshBuilder,
    Surfaces,
)  # fmt: skip
from kcars.drawn.shapes import between, ellipse, flat, grille, grille_pattern, headlamp, rear_lamp, side_lines


def shell(builder: MeshBuilder, surfaces: Surfaces, style: MakeStyle, shape: ModelShape) -> None:
    """Add the painted body under the glass, its lid and its dark underside."""
    columns = np.concatenate([[0, 0.4, 0.75, 0.92], 1 + np.array([0, 0.05, 0.12, 0.25, 0.4, 0.55, 0.7, 0.88, 0.95]),
                              [2, 2.08, 2.25, 2.6, 3]])  # fmt: skip
    levels = np.array([0, 0.14, 0.28, 0.45, 0.65, 0.85, 1.0])
    ring = surfaces.ring(columns[:, None], levels[None, :])
    for mirror in (np.ones(3), np.array([1, -1, 1])):
        for i in range(len(columns) - 1):
            for j in range(len(levels) - 1):
                quad = np.stack([ring[i, j], ring[i + 1, j], ring[i + 1, j + 1], ring[i, j + 1]]) * mirror
                builder.add(quad, PAINT, BODY)
    edge, cross = ring[:, -1], np.array([-1, -0.5, 0, 0.5, 1])
    lid = edge[:, None, :] * np.stack([np.ones(5), cross, np.ones(5)], -1)
    lid[..., 2] += 0.035 * (1 - cross**2) * np.clip(columns / 0.5, 0, 1)[:, None]
    for i in range(len(columns) - 1):
        for j in range(4):
            builder.add(np.stack([lid[i, j], lid[i + 1, j], lid[i + 1, j + 1], lid[i, j + 1]]), PAINT, BODY)
    inner = 0.8 * surfaces.half_width
    builder.box((surfaces.rear_axle_x, -inner, 0.5 * shape.clearance),
                (surfaces.front_axle_x, inner, 1.3 * shape.clearance), DARK, UNDER)  # fmt: skip
    bonnet_details(builder, surfaces, style, shape)


def bonnet_details(builder: MeshBuilder, surfaces: Surfaces, style: MakeStyle, shape: ModelShape) -> None:
    """Add the creases and the scoop of the bonnet, and the bed of a pickup."""

    def bonnet(a, v):
        x = surfaces.cowl_x + (surfaces.side_front_x - surfaces.cowl_x) * np.asarray(v, float)
        z = surfaces.top(x) + 0.036
        return np.stack([x, np.asarray(a, float) * surfaces.half_width * 0.85, z], -1)

    for crease in range(style.creases):
        centre = 0.35 + 0.35 * crease
        builder.strip(bonnet, [(centre - 0.03, 0.0, 1.0), (centre, 0.0, 1.0)], GROOVE)
        builder.strip(bonnet, [(centre, 0.0, 1.0), (centre + 0.025, 0.0, 1.0)], RIDGE)
    if shape.scoop:
        builder.strip(bonnet, [(-0.3, 0.4, 0.62), (0.3, 0.4, 0.62)], DARK, mirror=False)
    if shape.body == "pickup":

        def bed(a, x):
            x = np.asarray(x, float)
            return np.stack([x, np.asarray(a, float) * surfaces.half_width * 0.8, surfaces.top(x) + 0.04], -1)

        rear, front = surfaces.tail_x + 0.2, surfaces.rear_foot_x - 0.05
        builder.strip(bed, [(-1, rear, front), (1, rear, front)], DARK, mirror=False)


def sides(builder: MeshBuilder, surfaces: Surfaces, style: MakeStyle, shape: ModelShape) -> None:
    """Add the details of the sides: door gaps, handles, lines."""
    front, rear = surfaces.front_axle_x, surfaces.rear_axle_x
    door_front = min(front - 1.2 * shape.wheel, surfaces.cowl_x + 0.1)
    door_rear = rear + 1.25 * shape.wheel
    gaps = [door_front, door_rear] if shape.doors == 2 else [door_front, 0.5 * (door_front + door_rear), door_rear]
    if shape.doors == 2:
        gaps[1] = 0.35 * door_front + 0.65 * door_rear
    sill, belt = 1.15 * shape.clearance, surfaces.belt_z
    for sign in (1, -1):
        side = surfaces.side(sign)

        def lay(stations, material, side=side, step=0.5):
            builder.strip(side, stations, material, mirror=False, step=step)

        for xs, zs in side_lines(style.line, front, rear, sill, belt):
            lay([(x, z - 0.03, z) for x, z in zip(xs, zs, strict=True)], GROOVE)
            lay([(x, z, z + 0.025) for x, z in zip(xs, zs, strict=True)], RIDGE)
        for x in gaps:
            lay([(x - 0.014, sill, belt), (x + 0.014, sill, belt)], GROOVE)
        for x in gaps[1:]:
            lay([(x + 0.08, belt - 0.15, belt - 0.1), (x + 0.28, belt - 0.15, belt - 0.1)],
                CHROME if style.chrome else GROOVE)  # fmt: skip
        if shape.moulding:
            middle = 0.45 * belt + 0.55 * sill
            lay([(door_rear, middle - 0.05, middle + 0.05), (door_front, middle - 0.05, middle + 0.05)], BLACK)
        if shape.cladding:
            lay([(rear, shape.clearance, sill + 0.13), (front, shape.clearance, sill + 0.13)], BLACK)
        for axle in (front, rear):
            if shape.cladding == 2:
                builder.add(_arch(surfaces, side, axle, 1.36 * shape.wheel, style.square_arches), BLACK, BODY_DETAIL)
            builder.add(_arch(surfaces, side, axle, 1.14 * shape.wheel, style.square_arches), DARK, BODY_DETAIL)


def _arch(surfaces: Surfaces, side, axle: float, radius: float, square: bool) -> np.ndarray:
    """The opening over a wheel, cut off at the sill."""
    angle = np.linspace(-0.35, np.pi + 0.35, 15)
    power = 0.55 if square else 1.0
    x = axle + radius * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power
    z = surfaces.shape.wheel + radius * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power
    return side(x, np.clip(z, surfaces.bottom(x), surfaces.top(x) - 0.03))


def nose(builder: MeshBuilder, surfaces: Surfaces, style: MakeStyle, shape: ModelShape) -> None:
    """Grille, headlamps, badge, bumper."""
    at, h = surfaces.nose, 0.08 + 0.13 * shape.grille_height
    middle, w = 0.60 + 0.06 * shape.lamp_height, 0.26 + 0.26 * shape.grille_width

    def lay(stations, material, mirror=False):
        builder.strip(at, [(a, max(low, 0.0), min(high, 0.985)) for a, low, high in stations], material, mirror=mirror)

    for stations in grille(style.grille, middle, h, w):
        if style.chrome:
            lay([(1.08 * a, low - 0.025, high + 0.025) for a, low, high in stations], CHROME)
        lay(stations, DARK)
        for bright in grille_pattern(stations, style.pattern):
            lay(bright, CHROME)
    size, height = 0.75 + 0.65 * shape.lamp_size, 0.64 + 0.18 * shape.lamp_height
    for stations in headlamp(style.lamp, size, height):
        lay([(a, low - 0.015, high + 0.015) for a, low, high in stations], BLACK, mirror=True)
        lay(stations, LAMP, mirror=True)
        lay(between(stations[: len(stations) // 2 + 1], 0.25, 0.75), BRIGHT, mirror=True)
    if style.light_line:
        low = height + (0.2 * size if style.light_line == 2 else -0.2 * size)
        inner, outer = (0.4, 0.6) if style.light_line == 3 else (0.6, 1.2)
        lay(flat(inner, outer, low - 0.02, low + 0.02), BRIGHT, mirror=True)
    _badge(builder, at, style, (0.0, min(middle + 0.6 * h, 0.9)), 0.09)
    _front_bumper(lay, shape)
    for a in (-0.26, 0.26):
        lay(flat(a - 0.005, a + 0.005, 0.29, 0.40), BLACK)
    lay(flat(-0.26, 0.26, 0.29, 0.40), PLATE)


def _front_bumper(lay, shape: ModelShape) -> None:
    """Air intakes, fog lamps, the lower edge."""
    lay(flat(-1.15, 1.15, 0.425, 0.45), GROOVE)
    if shape.cladding:
        lay(flat(-1.3, 1.3, 0.0, 0.17), BLACK)
    intakes = {
        0: [flat(-0.75, 0.75, 0.10, 0.27)],
        1: [flat(-0.38, 0.38, 0.08, 0.27), flat(0.52, 0.92, 0.10, 0.30), flat(-0.92, -0.52, 0.10, 0.30)],
        2: [[(-0.8, 0.08, 0.12), (-0.45, 0.08, 0.28), (0.45, 0.08, 0.28), (0.8, 0.08, 0.12)]],
        3: [flat(-0.95, 0.95, 0.19, 0.26)],
        4: [flat(0.60, 0.88, 0.08, 0.42), flat(-0.88, -0.60, 0.08, 0.42)],
        5: [],
    }[shape.intake]
    for stations in intakes:
        lay(stations, DARK)
    fogs = {
        0: [],
        1: [ellipse(0.76, 0.32, 0.09, 0.065)],
        2: [flat(0.6, 1.0, 0.32, 0.37)],
        3: [flat(0.86, 0.98, 0.15, 0.38)],
    }
    for stations in fogs[shape.fog]:
        lay([(a, low - 0.015, high + 0.015) for a, low, high in stations], BLACK, mirror=True)
        lay(stations, BRIGHT, mirror=True)
    if shape.skid:
        lay([(-0.6, 0.02, 0.06), (-0.4, 0.02, 0.13), (0.4, 0.02, 0.13), (0.6, 0.02, 0.06)], CHROME)


def tail(builder: MeshBuilder, surfaces: Surfaces, style: MakeStyle, shape: ModelShape) -> None:
    """Rear lamps, badge, plate, bumper, exhausts."""
    at = surfaces.tail

    def lay(stations, material, mirror=False):
        builder.strip(at, [(a, max(low, 0.0), min(high, 0.985)) for a, low, high in stations], material, mirror=mirror)

    lay(flat(-1.15, 1.15, 0.425, 0.45), GROOVE)
    for a in (-0.9, 0.9):
        lay(flat(a - 0.012, a + 0.012, 0.45, 0.985), GROOVE)
    if shape.cladding:
        lay(flat(-1.3, 1.3, 0.0, 0.2), BLACK)
    size, height = 0.75 + 0.65 * shape.rear_lamp_size, 0.66 + 0.16 * shape.rear_lamp_height
    for stations in rear_lamp(style.rear_lamp, size, height):
        lay([(a, low - 0.012, high + 0.012) for a, low, high in stations], DEEP_RED, mirror=True)
        lay(stations, RED, mirror=True)
        if style.light_line in (1, 2):
            lay(between(stations, 0.1, 0.35), AMBER if style.light_line == 1 else BRIGHT, mirror=True)
    plate = 0.56 if shape.plate_high else 0.25
    lay(flat(-0.34, 0.34, plate - 0.09, plate + 0.09), GROOVE)
    lay(flat(-0.27, 0.27, plate - 0.06, plate + 0.06), PLATE)
    if style.chrome:
        lay(flat(-0.4, 0.4, plate + 0.10, plate + 0.13), CHROME)
    _badge(builder, at, style, (0.0, 0.86), 0.08)
    if shape.skid:
        lay(flat(-0.5, 0.5, 0.02, 0.11), CHROME)
    pipes = {0: [], 1: [(0.6, 0.09)], 2: [(0.6, 0.09), (-0.6, 0.09)], 3: [(-0.07, 0.09), (0.07, 0.09)]}[shape.exhausts]
    for a, radius in pipes:
        lay(ellipse(a, 0.09, radius, 0.06), CHROME)
        lay(ellipse(a, 0.09, 0.7 * radius, 0.04), DARK)


def _badge(builder: MeshBuilder, at, style: MakeStyle, centre, radius: float) -> None:
    colour = (CHROME, BADGE_RED, BADGE_BLUE, BADGE_GOLD)[style.badge_colour]
    wide = (1.0 * radius, 1.15 * radius)
    if style.badge in ("disc", "ring"):
        builder.oval(at, centre, wide, CHROME)
        builder.oval(at, centre, (0.7 * wide[0], 0.7 * wide[1]), colour if style.badge == "disc" else DARK)
    elif style.badge == "bar":
        builder.strip(at, flat(-1.6 * radius, 1.6 * radius, centre[1] - 0.5 * radius, centre[1] + 0.5 * radius), colour)
    elif style.badge == "cross":
        builder.strip(at, flat(-0.3 * radius, 0.3 * radius, centre[1] - wide[1], centre[1] + wide[1]), colour)
        builder.strip(at, flat(-wide[0], wide[0], centre[1] - 0.3 * radius, centre[1] + 0.3 * radius), colour)
    else:
        builder.oval(at, centre, (1.1 * wide[0], 1.1 * wide[1]), colour, sides=4 if style.badge == "diamond" else 3)
