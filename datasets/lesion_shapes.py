"""Procedural lesion outlines: irregular closed curves, placed without touching each other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .pixel_grid import FloatArray, pixel_centres

_HARMONICS = 6
# Linear interpolation between 256 directions is off by less than a thousandth of the radius.
_ANGLES = np.linspace(-np.pi, np.pi, 257)
# Harmonics 2 to 7: the first one would only shift the curve.
_HARMONIC_WAVES = np.exp(1j * np.outer(_ANGLES, np.arange(2, 2 + _HARMONICS)))
# Higher harmonics are weaker: smooth bays and bulges, never spikes.
_STRENGTHS = 0.24 * (np.arange(2, 2 + _HARMONICS) / 2) ** -1.2
_GAP = 0.03
_CORNERS = np.array([[False, False], [True, True], [False, True], [True, False]])
_TRIES = 64
# Three and more lesions are seldom all apart from each other.
_TRIES_FOR_MANY = 1024


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A closed curve around (0, 0), given by its distance in every direction.

    Attributes:
        radius: Scale, in units of the image's side.
        curve: Distance of the curve in 257 directions from -pi to pi, in lesion radii, float64 (257,).
        reach: Largest distance of the curve, in units of the image's side.
    """

    radius: float
    curve: NDArray[np.float64]
    reach: float


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """The pixels inside an outline and where they lie in the lesion's own coordinates.

    Attributes:
        index: Positions in the flattened image, int64 (n,).
        u: Horizontal distance from the lesion's centre, in lesion radii, float32 (n,).
        v: Vertical distance from the lesion's centre, in lesion radii, float32 (n,).
        depth: Distance to the outline along the ray from the centre, in lesion radii, float32 (n,), > 0.
    """

    index: NDArray[np.int64]
    u: FloatArray
    v: FloatArray
    depth: FloatArray


def draw_outline(rng: np.random.Generator, *, area: float) -> Outline:
    """Draw an irregular outline.

    Args:
        rng: Source of randomness.
        area: Area inside the outline, as a share of the image.
    """
    size, phase = rng.random(_HARMONICS), rng.random(_HARMONICS)
    strength = _STRENGTHS * rng.uniform(0.35, 1.0)
    coefficients = strength * size * np.exp(2j * np.pi * phase)
    curve = 1.0 + (_HARMONIC_WAVES @ coefficients).real
    # Area of a polar curve: half the integral of radius squared.
    radius = float(np.sqrt(area / (np.pi * np.mean(curve[1:] ** 2))))
    return Outline(radius=radius, curve=curve, reach=radius * float(curve.max()))


def place_outlines(rng: np.random.Generator, outlines: list[Outline]) -> list[tuple[float, float]]:
    """Place outlines inside the image, apart from each other.

    Args:
        rng: Source of randomness.
        outlines: Up to four outlines; two whose reaches sum to less than half of the image's side always fit.

    Returns:
        Centres (x, y) in units of the image's side, one per outline.
    """
    if not outlines:
        return []
    reach = np.array([outline.reach for outline in outlines])
    low = np.minimum(reach + 0.01, 0.5)[:, None]
    tries = _TRIES if len(outlines) <= 2 else _TRIES_FOR_MANY
    drawn = low + rng.random((tries, len(outlines), 2)) * (1.0 - 2.0 * low)
    first, second = np.triu_indices(len(outlines), k=1)
    distance = np.hypot(*np.moveaxis(drawn[:, first] - drawn[:, second], -1, 0))
    apart = (distance > reach[first] + reach[second] + _GAP).all(axis=1)
    # Opposite corners are the farthest apart that two lesions can lie; the third and fourth take the others.
    corners = np.where(_CORNERS[: len(outlines)], 1.0 - low, low)
    chosen = drawn[int(np.argmax(apart))] if apart.any() else corners
    return [(float(x), float(y)) for x, y in chosen]


def pixels_inside(outline: Outline, centre: tuple[float, float], size: int) -> Pixels:
    """Find the pixels whose centres lie inside an outline.

    Args:
        outline: The outline.
        centre: Where it lies, (x, y) in units of the image's side.
        size: Side of the image in pixels.
    """
    centres = pixel_centres(size)
    left, right = np.searchsorted(centres, [centre[0] - outline.reach, centre[0] + outline.reach])
    top, bottom = np.searchsorted(centres, [centre[1] - outline.reach, centre[1] + outline.reach])
    scale = np.float32(1.0 / outline.radius)
    u = ((centres[left:right] - np.float32(centre[0])) * scale)[None, :]
    v = ((centres[top:bottom] - np.float32(centre[1])) * scale)[:, None]
    # One table per lesion: cheaper than a sum of harmonics per pixel.
    curve = np.interp(np.arctan2(v, u), _ANGLES, outline.curve).astype(np.float32)
    depth = curve - np.sqrt(u * u + v * v)
    rows, columns = np.nonzero(depth > 0.0)
    index = (rows + top) * size + (columns + left)
    return Pixels(index=index, u=u[0, columns], v=v[rows, 0], depth=depth[rows, columns])
