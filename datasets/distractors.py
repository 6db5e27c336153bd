"""Procedural distractors: hairs and rulers, drawn over skin and lesion alike, whatever the label."""

from dataclasses import dataclass

import numpy as np

from .pixel_grid import FloatArray, pixel_centres

_MOST_HAIRS = 6
_RULER_SHARE = 0.25
# x, y, angle, curvature, half length, width, darkness
_HAIR_RANGES = np.array(
    [[0.0, 0.0, 0.0, -2.5, 0.15, 0.006, 0.35], [1.0, 1.0, np.pi, 2.5, 0.60, 0.015, 0.85]], dtype=np.float32
)
# inset from the side, tilt, spacing of the ticks, length of the ticks, width, darkness
_RULER_RANGES = np.array(
    [[0.03, -0.12, 0.045, 0.03, 0.008, 0.50], [0.40, 0.12, 0.080, 0.06, 0.014, 0.90]], dtype=np.float32
)


@dataclass(frozen=True, kw_only=True)
class Distractors:
    """Parameters of the hairs and of the ruler of one image; lengths in units of the image's side.

    Attributes:
        hairs: float32 (n, 7), a row per hair: x, y, angle, curvature, half length, width, darkness.
        ruler: float32 (7,): x, y, angle, spacing of the ticks, length of the ticks, width, darkness; or None.
    """

    hairs: FloatArray
    ruler: FloatArray | None


def draw_distractors(rng: np.random.Generator) -> Distractors:
    """Draw hairs for about half of the images and a ruler for a quarter."""
    n_hairs = max(0, int(rng.integers(-_MOST_HAIRS + 1, _MOST_HAIRS + 1)))
    hairs = _between(rng, _HAIR_RANGES, _MOST_HAIRS)[:n_hairs]
    has_ruler = rng.random() < _RULER_SHARE
    side = int(rng.integers(4))
    inset, tilt, spacing, length, width, darkness = _between(rng, _RULER_RANGES, 1)[0]
    if not has_ruler:
        return Distractors(hairs=hairs, ruler=None)
    # The ruler runs along one side of the image, its ticks pointing inwards.
    angle = side * np.pi / 2
    x, y = 0.5 + np.sin(angle) * (0.5 - inset), 0.5 - np.cos(angle) * (0.5 - inset)
    ruler = np.array([x, y, angle + tilt, spacing, length, width, darkness], dtype=np.float32)
    return Distractors(hairs=hairs, ruler=ruler)


def render_distractors(distractors: Distractors, size: int) -> FloatArray | None:
    """Render how much light hairs and ruler take away.

    Args:
        distractors: What to render.
        size: Side of the image in pixels.

    Returns:
        The share of light that is left, float32 (size, size) in [0, 1], or None where there are no distractors.
    """
    parts = []
    if len(distractors.hairs):
        parts.append(_hairs_light(distractors.hairs, size))
    if distractors.ruler is not None:
        parts.append(_ruler_light(distractors.ruler, size))
    if not parts:
        return None
    light: FloatArray = parts[0] if len(parts) == 1 else np.minimum(parts[0], parts[1])
    return light


def _between(rng: np.random.Generator, ranges: FloatArray, n_rows: int) -> FloatArray:
    # Uniform between two rows of limits.
    low, high = ranges
    drawn: FloatArray = low + (high - low) * rng.random((n_rows, len(low)), dtype=np.float32)
    return drawn


def _hairs_light(hairs: FloatArray, size: int) -> FloatArray:
    x, y, angle, curvature, half_length, width, darkness = hairs.T[:, :, None, None]
    along, across = _axes(x, y, angle, size)
    # A hair is a parabola in its own axes; the slope turns the vertical distance into the distance to the curve.
    slope = curvature * along
    distance = np.abs(across - 0.5 * slope * along)
    slope *= slope
    slope += 1.0
    distance /= np.sqrt(slope, out=slope)
    # Ends taper over a tenth of the length.
    ends = half_length - np.abs(along, out=along)
    ends /= 0.2 * half_length
    np.clip(ends, 0.0, 1.0, out=ends)
    ends *= darkness * _coverage(distance, width, size)
    light: FloatArray = 1.0 - ends.max(axis=0)
    return light


def _ruler_light(ruler: FloatArray, size: int) -> FloatArray:
    x, y, angle, spacing, length, width, darkness = ruler
    along, across = _axes(x, y, angle, size)
    tick = np.round(along / spacing)
    long_tick = np.mod(tick, 5.0) == 0.0
    reach = np.where(long_tick, 1.8 * length, length)
    pixel = np.float32(1.0 / size)
    inside = np.clip((reach - across) / pixel, 0.0, 1.0) * np.clip(across / pixel + 1.0, 0.0, 1.0)
    ticks = _coverage(np.abs(along - tick * spacing), width, size) * inside
    light: FloatArray = 1.0 - darkness * ticks
    return light


def _axes(x: FloatArray, y: FloatArray, angle: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
    # Coordinates of every pixel along and across an axis through (x, y).
    centres = pixel_centres(size)
    dx, dy = centres[None, :] - x, centres[:, None] - y
    cos, sin = np.cos(angle), np.sin(angle)
    return dx * cos + dy * sin, dy * cos - dx * sin


def _coverage(distance: FloatArray, width: FloatArray, size: int) -> FloatArray:
    # Share of a pixel that a line covers: a line thinner than a pixel keeps one pixel's breadth and loses strength.
    breadth = np.maximum(width, np.float32(1.0 / size))
    covered = 0.5 * breadth - distance
    covered *= size
    covered += 0.5
    np.clip(covered, 0.0, 1.0, out=covered)
    covered *= width / breadth
    return covered.astype(np.float32, copy=False)
