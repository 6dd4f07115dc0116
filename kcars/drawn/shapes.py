"""Outlines of lamps, grilles and pressed lines, as strips of stations.

On the nose and the tail stations are (a, low, high) with a 0 in the middle and 1 at the corner, heights
in fractions of the nose; lines along the side are (x's, z's) in metres.
"""

import numpy as np


def side_lines(line: str, front: float, rear: float, sill: float, belt: float):
    """The pressed lines along the side: (x's, z's), rear to front, metres."""
    x = np.linspace(rear - 0.5, front + 0.4, 7)
    share = np.linspace(0, 1, 7)  # rear to front
    body = belt - sill
    heights = {
        "straight": [sill + 0.68 * body + 0 * share],
        "rising": [sill + body * (0.78 - 0.4 * share)],
        "falling": [sill + body * (0.45 + 0.35 * share)],
        "double": [sill + 0.78 * body + 0 * share, sill + 0.3 * body + 0 * share],
        "arc": [sill + body * (0.45 + 0.35 * np.abs(2 * share - 1) ** 2)],
        "low": [sill + body * (0.35 - 0.15 * share)],
        "none": [],
    }[line]
    return [(x, z) for z in heights]


def ellipse(centre: float, v: float, radius_a: float, radius_v: float) -> list:
    """Stations of an ellipse."""
    turn = np.linspace(-1, 1, 9)
    return [(centre + radius_a * t, v - radius_v * (1 - t * t) ** 0.5, v + radius_v * (1 - t * t) ** 0.5) for t in turn]


def flat(left: float, right: float, low: float, high: float) -> list:
    return [(left, low, high), (right, low, high)]


def headlamp(kind: str, k: float, v: float) -> list:
    """The strips of a left headlamp of scale k with its middle at height v."""
    return {
        "box": [flat(0.60, 1.08, v - 0.10 * k, v + 0.10 * k)],
        "slant": [[(0.48, v - 0.10 * k, v - 0.02 * k), (1.25, v, v + 0.17 * k)]],
        "round": [ellipse(0.76, v, 0.22 * k, 0.19 * k)],
        "slim": [flat(0.42, 1.30, v - 0.045 * k, v + 0.045 * k)],
        "upright": [flat(0.78, 1.05, v - 0.30 * k, v + 0.13 * k)],
        "drop": [[(0.45, v - 0.02, v + 0.02), (0.75, v - 0.10 * k, v + 0.10 * k), (1.0, v - 0.14 * k, v + 0.13 * k),
                  (1.15, v - 0.06 * k, v + 0.10 * k)]],
        "twin": [ellipse(0.55, v, 0.13 * k, 0.12 * k), ellipse(0.86, v, 0.15 * k, 0.14 * k)],
        "claw": [flat(0.45, 1.1, v + 0.03 * k, v + 0.12 * k), flat(0.88, 1.1, v - 0.24 * k, v + 0.03 * k)],
        "split": [flat(0.5, 1.2, v + 0.06 * k, v + 0.14 * k), flat(0.62, 1.05, v - 0.2 * k, v - 0.05 * k)],
        "wedge": [[(0.38, v + 0.06 * k, v + 0.08 * k), (1.12, v - 0.16 * k, v + 0.12 * k)]],
        "square": [flat(0.62, 0.95, v - 0.16 * k, v + 0.16 * k)],
        "blade": [[(0.36, v - 0.16 * k, v - 0.08 * k), (0.95, v - 0.02 * k, v + 0.11 * k), (1.4, v + 0.10 * k, v + 0.16 * k)]],
    }[kind]  # fmt: skip


def grille(kind: str, c: float, h: float, w: float) -> list:
    """The strips of a whole grille with its middle at height c, half height h, half width w."""
    across = np.linspace(-1, 1, 9)
    return {
        "trapezoid": [[(-w, c + 0.5 * h, c + h), (-0.55 * w, c - h, c + h), (0.55 * w, c - h, c + h), (w, c + 0.5 * h, c + h)]],
        "hexagon": [[(-w, c - 0.05, c + 0.05), (-0.6 * w, c - h, c + h), (0.6 * w, c - h, c + h), (w, c - 0.05, c + 0.05)]],
        "twin": [flat(-0.85 * w, -0.05, c - h, c + h), flat(0.05, 0.85 * w, c - h, c + h)],
        "slot": [flat(-1.3 * w, 1.3 * w, c - 0.35 * h, c + 0.35 * h)],
        "oval": [ellipse(0, c, 1.05 * w, h)],
        "shield": [[(-0.75 * w, c + 0.3 * h, c + h), (0, c - 1.4 * h, c + h), (0.75 * w, c + 0.3 * h, c + h)]],
        "tall": [flat(-0.55 * w, 0.55 * w, c - 1.5 * h, c + 1.1 * h)],
        "bar": [flat(-1.1 * w, 1.1 * w, c + 0.35 * h, c + h), flat(-1.1 * w, 1.1 * w, c - h, c - 0.35 * h)],
        "wide": [flat(-1.6 * w, 1.6 * w, c - 0.75 * h, c + 0.75 * h)],
        "wing": [[(-1.5 * w, c + 0.7 * h, c + h), (0, c - h, c + 0.2 * h), (1.5 * w, c + 0.7 * h, c + h)]],
        "square": [flat(-0.75 * w, 0.75 * w, c - h, c + h)],
        "smile": [[(1.3 * w * t, c - h + 1.3 * h * t * t, c + 0.2 * h + 0.8 * h * t * t) for t in across]],
    }[kind]  # fmt: skip


def between(stations, low: float, high: float) -> list:
    """The part of a strip between two fractions of its height."""
    return [(a, v0 + (v1 - v0) * low, v0 + (v1 - v0) * high) for a, v0, v1 in stations]


def uprights(stations, places) -> list:
    """Narrow full-height strips at fractions of the strip's width."""
    a, low, high = np.asarray(stations, float).T
    middles = a[0] + (a[-1] - a[0]) * np.asarray(places)
    return [[(m + d, np.interp(m, a, low), np.interp(m, a, high)) for d in (-0.02, 0.02)] for m in middles]


def grille_pattern(stations, pattern: str) -> list:
    """The bright strips over a grille."""
    if pattern == "slats":
        return [between(stations, f - 0.07, f + 0.07) for f in (0.2, 0.5, 0.8)]
    if pattern == "bars":
        return uprights(stations, np.linspace(0.1, 0.9, 7))
    if pattern == "mesh":
        return [between(stations, 0.45, 0.55), between(stations, 0.15, 0.22), between(stations, 0.8, 0.87),
                *uprights(stations, np.linspace(0.15, 0.85, 5))]  # fmt: skip
    if pattern == "cross":
        return [between(stations, 0.38, 0.62)]
    if pattern == "chevron":
        return [between(stations, 0.72, 1.0), between(stations, 0.0, 0.2)]
    return []


def rear_lamp(kind: str, k: float, v: float) -> list:
    """The strips of a left rear lamp of scale k with its middle at height v."""
    return {
        "upright": [flat(0.80, 1.08, v - 0.32 * k, v + 0.16 * k)],
        "wide": [flat(0.48, 1.15, v - 0.09 * k, v + 0.09 * k)],
        "bridge": [flat(0.0, 0.7, v - 0.01 * k, v + 0.07 * k), flat(0.7, 1.15, v - 0.12 * k, v + 0.07 * k)],
        "round": [ellipse(0.76, v, 0.19 * k, 0.17 * k)],
        "corner": [
            [
                (0.58, v + 0.02, v + 0.12 * k),
                (0.85, v - 0.16 * k, v + 0.13 * k),
                (1.25, v - 0.1 * k, v + 0.13 * k),
            ]
        ],
        "wedge": [[(0.42, v + 0.04, v + 0.06), (1.15, v - 0.16 * k, v + 0.13 * k)]],
        "hook": [flat(0.5, 1.1, v + 0.03 * k, v + 0.12 * k), flat(0.9, 1.1, v - 0.26 * k, v + 0.03 * k)],
        "twin": [ellipse(0.54, v, 0.13 * k, 0.12 * k), ellipse(0.86, v, 0.15 * k, 0.14 * k)],
        "blocks": [flat(0.72, 1.05, v + 0.02, v + 0.15 * k), flat(0.72, 1.05, v - 0.19 * k, v - 0.04)],
        "thin": [flat(0.42, 1.3, v - 0.04 * k, v + 0.04 * k)],
        "arrow": [
            [
                (0.45, v - 0.14 * k, v - 0.05 * k),
                (0.95, v + 0.03 * k, v + 0.15 * k),
                (1.3, v - 0.03, v + 0.05 * k),
            ]
        ],
        "low": [flat(0.55, 1.0, v - 0.30 * k, v - 0.18 * k), flat(0.75, 1.1, v - 0.02, v + 0.12 * k)],
    }[kind]
