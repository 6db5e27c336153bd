"""Procedural vessels of the lungs: trees that branch outwards from the hila."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ..pixel_grid import FloatArray
from .thorax import Thorax

_GENERATIONS = 4
_TRUNKS = 6
# Half of the side is enough for the tree of one lung.
_SMALLEST_CANVAS = 256


@dataclass(frozen=True, kw_only=True)
class Vessels:
    """Straight pieces of vessels; lengths in units of the image's side.

    Attributes:
        pieces: float32 (n, 6), a row per piece: x and y of both ends, width, density.
    """

    pieces: FloatArray


def draw_vessels(rng: np.random.Generator, thorax: Thorax) -> Vessels:
    """Draw the trees of both lungs."""
    density = rng.uniform(0.75, 1.0)
    return Vessels(pieces=np.concatenate([_tree(rng, thorax, side, density) for side in (0, 1)]))


def render_vessels(vessels: Vessels, size: int) -> FloatArray:
    """Shadow of the vessels.

    Args:
        vessels: What to render.
        size: Side of the image in pixels.

    Returns:
        float32 (size, size) in [0, 1]; it does not end at the borders of the lungs.
    """
    # Pillow draws lines without anti-aliasing: they are drawn larger and averaged.
    factor = max(2, -(-_SMALLEST_CANVAS // size))
    side = size * factor
    canvas = Image.new("L", (side, side))
    draw = ImageDraw.Draw(canvas)
    scaled = vessels.pieces[:, :5] * side
    widths = np.maximum(1, np.rint(scaled[:, 4])).astype(int)
    # A vessel thinner than a pixel keeps one pixel's breadth and loses strength.
    strength = vessels.pieces[:, 5] * np.minimum(1.0, scaled[:, 4] / widths) * 255
    for ends, width, value in zip(scaled[:, :4].tolist(), widths.tolist(), strength.astype(int).tolist(), strict=True):
        draw.line(ends, fill=value, width=width)
    shadow: FloatArray = np.asarray(canvas.filter(ImageFilter.BoxBlur(side / 400)).reduce(factor)).astype(np.float32)
    shadow *= np.float32(1 / 255)
    return shadow


def _tree(rng: np.random.Generator, thorax: Thorax, side: int, density: float) -> FloatArray:
    # All branches of a generation at once; each ends in two thinner ones.
    sign = 1.0 if side else -1.0
    root_x, root_y = 0.085, thorax.apex + 0.33 + (-0.02 if side else 0.01)
    angle = np.linspace(-1.35, 1.45, _TRUNKS) + rng.normal(0.0, 0.12, _TRUNKS)
    x = root_x + 0.01 * rng.standard_normal(_TRUNKS)
    y = root_y + 0.05 * np.sin(angle)
    width, length = np.full(_TRUNKS, 0.0115), np.full(_TRUNKS, 0.085)
    rows = []
    for generation in range(_GENERATIONS):
        # Two pieces a branch, slightly bent.
        for _ in range(2):
            end_x, end_y = x + 0.5 * length * np.cos(angle), y + 0.5 * length * np.sin(angle)
            strength = np.full(len(x), density * 0.78**generation)
            rows.append(np.stack([x, y, end_x, end_y, width, strength], axis=1))
            x, y = end_x, end_y
            angle = angle + rng.normal(0.0, 0.15, len(angle))
        if generation < _GENERATIONS - 1:
            spread = rng.uniform(0.2, 0.5, len(angle))
            angle = np.concatenate([angle - spread, angle + spread])
            x, y = np.tile(x, 2), np.tile(y, 2)
            width = np.tile(width, 2) * rng.uniform(0.62, 0.8, len(x))
            length = np.tile(length, 2) * rng.uniform(0.75, 1.05, len(x))
    pieces = np.concatenate(rows[::-1])
    for column in (0, 2):
        down = pieces[:, column + 1] - 0.5
        pieces[:, column] = thorax.midline + thorax.tilt * down + sign * pieces[:, column]
    drawn: FloatArray = pieces.astype(np.float32)
    return drawn
