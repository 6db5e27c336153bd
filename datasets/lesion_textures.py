"""Procedural lesion textures: the only thing that tells the types of lesion apart."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .pixel_grid import FloatArray

# Lattice spacing in lesion radii: 3 to 4 cells across a lesion survive a rendering at 32 px.
_SPACING = (0.42, 0.56)
# Lattice points cover a disk of this radius (in lesion radii); outlines reach 1.7 at most.
_LATTICE_REACH = 1.7


def _hexagonal_lattice() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # Points of the hexagonal lattice of spacing 1, the nearest to the origin first, and their distances from it.
    across, down = np.meshgrid(np.arange(-8, 9), np.arange(-8, 9))
    points = np.stack([across + 0.5 * down, np.sqrt(0.75) * down], axis=-1).reshape(-1, 2)
    radii = np.hypot(*points.T)
    # Rounded and stable, so that equally distant points keep one order on every machine.
    order = np.argsort(radii.round(6), kind="stable")
    return points[order], radii[order]


_HEXAGONAL, _HEXAGONAL_RADII = _hexagonal_lattice()


def waves(
    rng: np.random.Generator, u: FloatArray, v: FloatArray, *, wavelengths: tuple[float, float], n_waves: int = 4
) -> FloatArray:
    """Smooth random field: a few plane waves.

    Args:
        rng: Source of randomness.
        u: Horizontal place in lesion radii, float32 (n,).
        v: Vertical place in lesion radii, float32 (n,).
        wavelengths: Shortest and longest wave, in lesion radii.
        n_waves: Number of waves.

    Returns:
        float32 (n,), spread about 1.
    """
    angle, phase = rng.uniform(0.0, 2 * np.pi, (2, n_waves))
    frequency = 2 * np.pi / rng.uniform(*wavelengths, n_waves)
    across = (frequency * np.cos(angle)).astype(np.float32)[:, None]
    down = (frequency * np.sin(angle)).astype(np.float32)[:, None]
    field = np.cos(across * u + down * v + phase.astype(np.float32)[:, None]).sum(axis=0)
    result: FloatArray = field * np.float32(np.sqrt(2.0 / n_waves))
    return result


def network(rng: np.random.Generator, u: FloatArray, v: FloatArray) -> FloatArray:
    """Pigment network: dark lines around light holes, the borders between the cells of an irregular lattice."""
    spacing = rng.uniform(*_SPACING)
    line_width = np.float32(rng.uniform(0.24, 0.32) * spacing)
    squared = _squared_distances(_lattice(rng, spacing), u, v)
    smallest = squared.min(axis=0)
    np.putmask(squared, squared == smallest, np.float32(np.inf))
    # The difference of the two smallest distances is zero on the border between two cells.
    gap = (np.sqrt(squared.min(axis=0)) - np.sqrt(np.maximum(smallest, 0.0))) / line_width
    lines: FloatArray = np.exp(-gap * gap)
    return lines


def globules(rng: np.random.Generator, u: FloatArray, v: FloatArray) -> FloatArray:
    """Globules: dark round dots of varying size, on an irregular lattice with gaps."""
    spacing = rng.uniform(*_SPACING)
    points = _lattice(rng, spacing)
    radius = rng.uniform(0.26, 0.40, len(points)).astype(np.float32) * np.float32(spacing)
    # An absent dot is one too small to be seen.
    radius[rng.random(len(points)) >= 0.9] = 1e-3
    # The darkest dot wins at every pixel: the one that is the nearest in units of its own radius.
    nearest = (_squared_distances(points, u, v) / (radius * radius)[:, None]).min(axis=0)
    dots: FloatArray = np.exp(-nearest * nearest)
    return dots


def streaks(rng: np.random.Generator, u: FloatArray, v: FloatArray) -> FloatArray:
    """Streaks: dark strokes that fan out from a point, near the centre (starburst) or far outside (nearly parallel)."""
    starburst = rng.random() < 0.5
    distance = rng.uniform(0.0, 0.25) if starburst else rng.uniform(2.0, 4.0)
    angle = rng.uniform(0.0, 2 * np.pi)
    spacing = rng.uniform(*_SPACING)
    du = u - np.float32(distance * np.cos(angle))
    dv = v - np.float32(distance * np.sin(angle))
    # The strokes have the lattice spacing at the lesion's centre (fan) or at two thirds of its radius (starburst).
    n_strokes = round(2 * np.pi * max(distance, 0.67) / spacing)
    wobble = np.float32(0.8) * waves(rng, u, v, wavelengths=(1.0, 2.5))
    strength = 1.0 + np.float32(0.3) * waves(rng, u, v, wavelengths=(0.6, 1.6))
    strokes = 0.5 + 0.5 * np.cos(np.float32(n_strokes) * np.arctan2(dv, du) + wobble)
    if starburst:
        # Near the focus strokes are closer than a pixel: they fade into an even core.
        core = np.clip(np.hypot(du, dv) / np.float32(0.3), 0.0, 1.0)
        strokes = core * strokes + (1.0 - core) * 0.5
    result: FloatArray = strokes * np.sqrt(strokes) * strength
    return result


def homogeneous(rng: np.random.Generator, u: FloatArray, v: FloatArray) -> FloatArray:
    """Homogeneous: no structure at all."""
    return np.zeros_like(u)


def rings(rng: np.random.Generator, u: FloatArray, v: FloatArray) -> FloatArray:
    """Rings: dark circles of varying size around lighter centres, on an irregular lattice."""
    spacing = rng.uniform(*_SPACING)
    points = _lattice(rng, spacing)
    radius = rng.uniform(0.30, 0.42, len(points)).astype(np.float32)[:, None] * np.float32(spacing)
    width = np.float32(rng.uniform(0.10, 0.14) * spacing)
    distance = np.sqrt(np.maximum(_squared_distances(points, u, v), 0.0))
    nearest = (np.abs(distance - radius) / width).min(axis=0)
    circles: FloatArray = np.exp(-nearest * nearest)
    return circles


def cobblestones(rng: np.random.Generator, u: FloatArray, v: FloatArray) -> FloatArray:
    """Cobblestones: the cells of an irregular lattice, each evenly dark or light, without borders."""
    points = _lattice(rng, rng.uniform(*_SPACING))
    darkness = rng.uniform(0.0, 1.0, len(points)).astype(np.float32)
    stones: FloatArray = darkness[_squared_distances(points, u, v).argmin(axis=0)]
    return stones


Texture = Callable[[np.random.Generator, FloatArray, FloatArray], FloatArray]

TEXTURES: Mapping[str, Texture] = MappingProxyType(
    {
        "network": network,
        "globules": globules,
        "streaks": streaks,
        "homogeneous": homogeneous,
        "rings": rings,
        "cobblestones": cobblestones,
    }
)

USUAL_TYPES = ("network", "globules", "streaks", "homogeneous")
"""The types of a dataset that names none. The others are for checks on types that nothing was tuned on."""


def _lattice(rng: np.random.Generator, spacing: float) -> FloatArray:
    # Points of a hexagonal lattice, each moved a little, all turned and shifted: float32 (n, 2), in lesion radii.
    points = _HEXAGONAL[: int(np.searchsorted(_HEXAGONAL_RADII, _LATTICE_REACH / spacing))]
    moved = points + rng.uniform(-0.24, 0.24, points.shape) + rng.uniform(-0.5, 0.5, 2)
    angle = rng.uniform(0.0, np.pi / 3)
    cos, sin = spacing * np.cos(angle), spacing * np.sin(angle)
    result: FloatArray = (moved @ np.array([[cos, sin], [-sin, cos]])).astype(np.float32)
    return result


def _squared_distances(points: FloatArray, u: FloatArray, v: FloatArray) -> FloatArray:
    # |p - x|^2 = |p|^2 - 2 p x + |x|^2 as one product of matrices: float32 (points, pixels).
    left = np.concatenate([-2.0 * points, (points * points).sum(axis=1, keepdims=True), np.ones_like(points[:, :1])], 1)
    result: FloatArray = left @ np.stack([u, v, np.ones_like(u), u * u + v * v])
    return result
