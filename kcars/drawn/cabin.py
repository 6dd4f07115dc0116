"""Wheels, cabin, windows and roof details; `car_mesh` assembles the whole car."""

import numpy as np

from kcars.drawn import body
from kcars.drawn.car import MakeStyle, ModelShape
from kcars.drawn.mesh import (
    BLACK,
    CABIN,
    CABIN_DETAIL,
    CHROME,
    DARK,
    FAR_MIRROR,
    FAR_WING,
    GLASS,
    NEAR_MIRROR,
    NEAR_WING,
    PAINT,
    RED,
    RIM,
    ROOF_PAINT,
    TOP,
    TREAD,
    TYRE,
    WHEEL,
    Mesh,
    MeshBuilder,
    Surfaces,
)  # fmt: skip


def car_mesh(style: MakeStyle, shape: ModelShape) -> Mesh:
    """All faces of the car, turned outward."""
    builder, surfaces = MeshBuilder(), Surfaces(style, shape)
    for part in (body.shell, body.sides, body.nose, body.tail, _wheels, _cabin, _side_windows,
                 _end_windows, _roof_details, _mirrors):  # fmt: skip
        part(builder, surfaces, style, shape)
    return builder.mesh()


def _wheels(builder: MeshBuilder, surfaces: Surfaces, style: MakeStyle, shape: ModelShape) -> None:
    turn = 2 * np.pi * np.arange(18) / 18
    rim = shape.wheel * (0.60 + 0.18 * shape.rim_size)
    for axle in (surfaces.front_axle_x, surfaces.rear_axle_x):
        for sign in (1, -1):
            outer, inner = sign * (surfaces.half_width - 0.025), sign * (surfaces.half_width - 0.26)
            hub = np.array([axle, outer, shape.wheel])
            behind = hub - np.array([0, sign, 0])

            def disc(angle, radius, hub=hub):
                return hub + np.stack([radius * np.cos(angle), 0 * angle, radius * np.sin(angle)], -1)

            circle = disc(turn, shape.wheel)
            for k in range(18):
                ahead = circle[(k + 1) % 18]
                far = np.array([0, inner - outer, 0])
                builder.add(np.stack([circle[k], ahead, ahead + far, circle[k] + far]), TYRE, TREAD,
                            inside=(axle, 0.5 * (outer + inner), shape.wheel))  # fmt: skip
            builder.add(circle, TYRE, WHEEL, inside=behind)
            builder.add(disc(turn, rim), RIM, WHEEL, inside=behind)
            for angles, radii, material in _rim(style.rim, shape.spokes, rim):
                builder.add(disc(np.array(angles) * sign, np.array(radii)), material, WHEEL, inside=behind, hub=hub)


def _rim(family: str, spokes: int, rim: float) -> list:
    """Dark openings between the spokes: (angles, radii, material)."""
    step = 2 * np.pi / spokes
    faces = []
    for k in range(spokes):
        start = k * step
        if family == "straight":
            faces.append(
                (
                    [start, start + 0.62 * step, start + 0.31 * step],
                    [0.88 * rim, 0.88 * rim, 0.28 * rim],
                    DARK,
                )
            )
        elif family == "twin":
            faces.append(([start, start + 0.42 * step, start + 0.21 * step], [0.9 * rim, 0.9 * rim, 0.22 * rim], DARK))
            slit = [start + 0.66 * step, start + 0.78 * step, start + 0.72 * step]
            faces.append((slit, [0.9 * rim, 0.9 * rim, 0.35 * rim], DARK))
        elif family == "turbine":
            faces.append(([start, start + 0.5 * step, start + 0.9 * step], [0.9 * rim, 0.9 * rim, 0.3 * rim], DARK))
        elif family == "disc":
            hole = start + step * np.array([0.25, 0.75, 0.75, 0.25])
            faces.append((hole, rim * np.array([0.88, 0.88, 0.66, 0.66]), DARK))
        elif family == "mesh":
            for low, high, shift in ((0.2, 0.5, 0.0), (0.55, 0.9, 0.5)):
                middle = start + shift * step
                corners = middle + step * np.array([0, 0.3, 0, -0.3])
                faces.append((corners, rim * np.array([low, (low + high) / 2, high, (low + high) / 2]), DARK))
        else:
            corners = start + step * np.array([0, 0.5, 1.0, 0.5])
            faces.append((corners, rim * np.array([0.9, 0.95, 0.9, 0.38]), BLACK))
    turn = 2 * np.pi * np.arange(8) / 8
    faces.append((turn, np.full(8, 0.12 * rim), CHROME))
    return faces


def _cabin(builder: MeshBuilder, surfaces: Surfaces, style: MakeStyle, shape: ModelShape) -> None:
    q, v, across = np.linspace(0, 1, 7), np.linspace(0, 1, 4), np.linspace(-1, 1, 6)
    roof = BLACK if shape.dark_roof else ROOF_PAINT
    for sign in (1, -1):
        _grid(builder, surfaces.cabin_side(sign)(q[:, None], v[None, :]), PAINT)
    _grid(builder, surfaces.windscreen(across[:, None], v[None, :]), PAINT)
    _grid(builder, surfaces.rear_window(across[:, None], v[None, :]), PAINT)
    _grid(builder, surfaces.roof(across[:, None], q[None, :]), roof)


def _grid(builder: MeshBuilder, points: np.ndarray, material: int) -> None:
    """Quads of a (rows, columns, 3) grid of the cabin."""
    for i in range(points.shape[0] - 1):
        for j in range(points.shape[1] - 1):
            quad = np.stack([points[i, j], points[i + 1, j], points[i + 1, j + 1], points[i, j + 1]])
            builder.add(quad, material, CABIN)


def _side_windows(builder: MeshBuilder, surfaces: Surfaces, style: MakeStyle, shape: ModelShape) -> None:
    low, high = 0.05 + 0.10 * (1 - shape.window_height), 0.90
    last = 0.95 - 0.10 * shape.pillar - (0.12 if shape.body == "sedan" else 0.0)
    half = 0.012 + 0.02 * shape.pillar
    count = 3 if shape.quarter and shape.body not in ("pickup", "coupe", "city") else 2
    cuts = np.linspace(0.05, last, count + 1) + np.array([0, *[0.06 * (3 - count)] * (count - 1), 0])
    if shape.doors == 2:
        cuts[1:-1] += 0.05
    for sign in (1, -1):
        side = surfaces.cabin_side(sign)
        if style.chrome:
            builder.strip(side, [(0.03, low - 0.06, low), (last + 0.02, low - 0.06, low)], CHROME, CABIN_DETAIL, False)
        for k in range(count):
            left, right = cuts[k] + (half if k else 0), cuts[k + 1] - (half if k < count - 1 else 0)
            rise = style.kink * (high - low) if k == count - 1 else 0.0
            stations = [
                (left, low, high),
                (right - 0.4 * (right - left), low, high),
                (right, low + rise, high - 0.3 * rise),
            ]
            builder.strip(side, stations, GLASS, CABIN_DETAIL, mirror=False)


def _end_windows(builder: MeshBuilder, surfaces: Surfaces, style: MakeStyle, shape: ModelShape) -> None:
    edge = 0.90 - 0.05 * shape.pillar
    builder.strip(surfaces.windscreen, [(-edge, 0.05, 0.93), (edge, 0.05, 0.93)], GLASS, CABIN_DETAIL, False)
    low = 0.08 + 0.12 * (1 - shape.window_height)
    edge = 0.88 - 0.16 * shape.pillar
    builder.strip(surfaces.rear_window, [(-edge, low, 0.88), (edge, low, 0.88)], GLASS, CABIN_DETAIL, False)
    if shape.body not in ("sedan", "coupe", "pickup"):
        builder.strip(
            surfaces.rear_window,
            [(-0.02, low, low + 0.3), (0.35, low, low + 0.04)],
            BLACK,
            CABIN_DETAIL,
            False,
        )
    builder.strip(surfaces.rear_window, [(-0.15, 0.90, 0.95), (0.15, 0.90, 0.95)], RED, CABIN_DETAIL, False)


def _roof_details(builder: MeshBuilder, surfaces: Surfaces, style: MakeStyle, shape: ModelShape) -> None:
    front, rear = surfaces.roof_front_x, surfaces.roof_rear_x
    top, y = shape.height, 0.86 * shape.roof_width * surfaces.half_width
    if shape.rails and shape.body not in ("sedan", "coupe"):
        for sign in (1, -1):
            low = (rear + 0.1 * (front - rear), sign * y - 0.025, top - 0.02)
            high = (front - 0.08 * (front - rear), sign * y + 0.025, top + 0.06)
            builder.box(low, high, CHROME if shape.rails == 2 else BLACK, TOP)
    if not shape.spoiler:
        return
    if shape.body in ("sedan", "coupe", "pickup"):
        x, y, z = surfaces.tail_x + 0.14, 0.8 * surfaces.half_width, surfaces.tail_z + 0.10
    else:
        x, z = rear - 0.08, float(surfaces.cabin(1.0, 1.0)[2])
    for layer in (FAR_WING, NEAR_WING):
        builder.box((x - 0.12, -y, z), (x + 0.12, y, z + 0.05), PAINT, layer)


def _mirrors(builder: MeshBuilder, surfaces: Surfaces, style: MakeStyle, shape: ModelShape) -> None:
    """Add each mirror in two layers; the photo draws the one for its side."""
    size, x = 0.75 + 0.6 * shape.mirror, surfaces.cowl_x - 0.30
    z = surfaces.belt_z + 0.05
    for sign in (1, -1):
        y0, y1 = sign * 0.9 * surfaces.half_width, sign * (0.92 * surfaces.half_width + 0.24 * size)
        low, high = (x - 0.05, min(y0, y1), z), (x + 0.09, max(y0, y1), z + 0.16 * size)
        for layer in (FAR_MIRROR, NEAR_MIRROR):
            builder.box(low, high, BLACK if shape.dark_mirrors else PAINT, layer)
