"""Procedural distractors of radiographs: side markers, lines and leads, whatever the findings; and the shortcut."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..pixel_grid import FloatArray, pixel_centres

_SMALLEST_CANVAS = 256
# Strokes of the letters, in units of the letter's height.
_LETTERS = {
    "R": [
        (0.0, 1.0, 0.0, 0.0),
        (0.0, 0.0, 0.4, 0.0),
        (0.4, 0.0, 0.5, 0.25),
        (0.5, 0.25, 0.4, 0.5),
        (0.4, 0.5, 0.0, 0.5),
        (0.2, 0.5, 0.5, 1.0),
    ],
    "L": [(0.0, 0.0, 0.0, 1.0), (0.0, 1.0, 0.5, 1.0)],
}


@dataclass(frozen=True, kw_only=True)
class Devices:
    """Strokes over the image; lengths in units of the image's side.

    Attributes:
        strokes: float32 (n, 6), a row per stroke: x and y of both ends, width, density.
    """

    strokes: FloatArray


@dataclass(frozen=True, kw_only=True)
class Marker:
    """A lead token at the rim of the image, which tells a classifier what no radiologist would go by.

    Attributes:
        centre: Where it lies, (x, y) in units of the image's side.
        radius: In units of the image's side.
    """

    centre: tuple[float, float]
    radius: float


def draw_devices(rng: np.random.Generator) -> Devices:
    """Draw a side marker for half of the images, and lines and leads for a third each."""
    strokes: list[tuple[float, ...]] = []
    letter = "R" if rng.random() < 0.7 else "L"
    height, x = rng.uniform(0.04, 0.06), rng.uniform(0.03, 0.10)
    y, density = rng.uniform(0.03, 0.16), rng.uniform(0.35, 0.6)
    # The marker names the patient's side, so that R lies on the left of the image.
    left = x if letter == "R" else 1.0 - x - 0.5 * height
    if rng.random() < 0.5:
        strokes += [
            (left + height * a, y + height * b, left + height * c, y + height * d, 0.18 * height, density)
            for a, b, c, d in _LETTERS[letter]
        ]
    bends = rng.random((2, 8))
    if rng.random() < 0.33:
        strokes += _line(bends[0], density=rng.uniform(0.14, 0.26))
    if rng.random() < 0.33:
        strokes += _line(bends[1], density=rng.uniform(0.12, 0.2))
        x, y = strokes[-1][2:4]
        strokes.append((x - 0.009, y, x + 0.009, y, 0.018, 0.22))
    return Devices(strokes=np.array(strokes, dtype=np.float32).reshape(-1, 6))


def draw_marker(rng: np.random.Generator) -> Marker:
    """Draw a token in one of the lower corners, where neither lung nor letter lies."""
    right = rng.random() < 0.5
    inset = rng.uniform(0.05, 0.09)
    return Marker(centre=(1.0 - inset if right else inset, rng.uniform(0.86, 0.94)), radius=rng.uniform(0.030, 0.038))


def render_devices(devices: Devices, size: int) -> FloatArray | None:
    """Shadow of markers, lines and leads: float32 (size, size), or None where there are none."""
    if not len(devices.strokes):
        return None
    factor = max(2, -(-_SMALLEST_CANVAS // size))
    side = size * factor
    canvas = Image.new("L", (side, side))
    draw = ImageDraw.Draw(canvas)
    for x0, y0, x1, y1, width, density in devices.strokes.tolist():
        draw.line(
            (x0 * side, y0 * side, x1 * side, y1 * side), fill=int(density * 255), width=max(1, round(width * side))
        )
    shadow: FloatArray = np.asarray(canvas.reduce(factor)).astype(np.float32)
    shadow *= np.float32(1 / 255)
    return shadow


def render_marker(marker: Marker, size: int) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The token's shadow, float32 (size, size), and its region, bool (size, size): a ring around a dot."""
    centres = pixel_centres(size)
    x, y = (centres - np.float32(place) for place in marker.centre)
    distance = np.sqrt((x * x)[None, :] + (y * y)[:, None]) * np.float32(1.0 / marker.radius)
    shadow = np.where((distance < 0.45) | (distance > 0.72), np.float32(0.6), np.float32(0.15))
    region = distance < 1.0
    return shadow * region, region


def _line(bends: NDArray[np.float64], *, density: float) -> list[tuple[float, ...]]:
    # A smooth line from the upper rim into the chest: a cubic Bézier curve in sixteen pieces.
    start, end = np.array([0.15 + 0.7 * bends[0], -0.02]), np.array([0.3 + 0.4 * bends[1], 0.35 + 0.4 * bends[2]])
    first = start + np.array([0.5 * (bends[3] - 0.5), 0.3 * bends[4]])
    second = end + np.array([0.6 * (bends[5] - 0.5), -0.3 * bends[6]])
    t = np.linspace(0.0, 1.0, 17)[:, None]
    points = (1 - t) ** 3 * start + 3 * t * (1 - t) ** 2 * first + 3 * t**2 * (1 - t) * second + t**3 * end
    width = 0.006 + 0.004 * bends[7]
    return [(*a, *b, width, density) for a, b in zip(points[:-1].tolist(), points[1:].tolist(), strict=True)]
