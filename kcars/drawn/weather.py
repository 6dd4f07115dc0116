"""Makes photos harder: night, rain and obstacles, drawn over a finished photo.

Images are (height, width, 3) RGB uint8 at drawing size, changed in place or returned as new arrays.
"""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np


@dataclass(frozen=True)
class Weather:
    """The effects of a photo; `generator` is separate, so that clear photos do not depend on the weather of others."""

    night: bool = False
    rain: bool = False
    occluded: bool = False
    generator: np.random.Generator | None = None

    def apply(self, image: np.ndarray, lamps: np.ndarray, box: np.ndarray) -> np.ndarray:
        """The photo with all effects. lamps: the same size, lit lamps on black; box: left, top, right, bottom px."""
        generator = cast(np.random.Generator, self.generator)  # Set whenever an effect applies.
        if self.rain:
            image = wet(image, box, generator)
        if self.occluded:
            obstruct(image, box, generator)
        if self.night:
            image = dark(image, lamps, generator)
        return streaked(image, generator) if self.rain else image


def dark(image: np.ndarray, lamps: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Night: dim light in a lamp's colour, fading away from a bright spot, and glowing lamps of the car."""
    height, width = image.shape[:2]
    centre = generator.uniform([0.2 * width, 0.1 * height], [0.8 * width, 0.6 * height])
    y, x = np.mgrid[:height, :width].astype(np.float32)
    far = np.hypot(x - centre[0], y - centre[1]) / width
    light = generator.uniform(0.16, 0.28) + generator.uniform(0.15, 0.35) * np.exp(-((far / 0.45) ** 2))
    colour = np.array([(0.80, 0.92, 1.15), (1.15, 0.95, 0.70), (1.0, 1.0, 1.0)][generator.integers(3)])
    shining = lamps.astype(np.float32) * generator.uniform(0.5, 1.0)
    bloom = sum(cv2.GaussianBlur(shining, (0, 0), size * width) for size in (0.008, 0.03))
    return np.clip(image * (light[..., None] * colour) + 0.7 * shining + bloom, 0, 255).astype(np.uint8)


def wet(image: np.ndarray, box: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Wet ground: a faint mirror image of the car below it, and flat grey light."""
    left, top, right, bottom = (int(edge) for edge in box)
    depth = min(image.shape[0] - bottom, (bottom - top) // 2)
    image = cv2.addWeighted(image, 0.8, np.full_like(image, 120), 0.2, 0)
    if depth > 2:
        mirrored = cv2.GaussianBlur(image[bottom - depth : bottom, left:right][::-1], (0, 0), 3)
        fading = (generator.uniform(0.25, 0.5) * np.linspace(1, 0, depth))[:, None, None]
        ground = image[bottom : bottom + depth, left:right]
        image[bottom : bottom + depth, left:right] = ground * (1 - fading) + mirrored * fading
    return image


def streaked(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Rain: drops as short slanted lines, and the blur of a wet lens."""
    height, width = image.shape[:2]
    drops = np.zeros((height, width), np.uint8)
    slant, length = generator.uniform(-0.25, 0.25), generator.uniform(0.03, 0.08) * height
    for start in generator.uniform([0, -length], [width, height], (int(generator.integers(150, 500)), 2)):
        end = start + length * generator.uniform(0.5, 1.0) * np.array([slant, 1.0])
        begin, stop = ((int(x), int(y)) for x, y in (start, end))
        cv2.line(drops, begin, stop, int(generator.integers(40, 110)), 1, cv2.LINE_AA)
    share = cv2.GaussianBlur(drops, (0, 0), 0.8)[..., None] / np.float32(255)
    blurred = cv2.GaussianBlur(image, (0, 0), generator.uniform(0.5, 1.6))
    return (blurred * (1 - share) + 215 * share).astype(np.uint8)


def obstruct(image: np.ndarray, box: np.ndarray, generator: np.random.Generator) -> None:
    """Draw a post, a bush or a barrier in front of up to a quarter of the car."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    colour = np.clip(generator.uniform(30, 200) + generator.normal(0, 20, 3), 0, 255).tolist()
    kind = generator.integers(3)
    if kind == 0:
        half = generator.uniform(0.02, 0.06) * width
        x = generator.uniform(left + half, right - half)
        cv2.rectangle(image, (int(x - half), 0), (int(x + half), int(bottom + 0.1 * height)), colour, -1)
    elif kind == 1:
        x, y = generator.choice([left, right]), bottom
        for _ in range(40):
            place = (int(x + generator.normal(0, 0.09) * width), int(y - abs(generator.normal(0, 0.16)) * height))
            leaf = [30 + generator.uniform(0, 40), 60 + generator.uniform(0, 70), 25 + generator.uniform(0, 30)]
            cv2.circle(image, place, int(generator.uniform(0.02, 0.05) * width), leaf, -1, cv2.LINE_AA)
    else:
        y = bottom - generator.uniform(0.05, 0.15) * height
        band = (int(y), int(y + generator.uniform(0.08, 0.14) * height))
        cv2.rectangle(image, (0, band[0]), (image.shape[1], band[1]), colour, -1)
