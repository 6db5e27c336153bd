"""Procedural bones: ribs, clavicles, spine and the windpipe before it."""

from dataclasses import dataclass

import numpy as np

from ..pixel_grid import FloatArray, pixel_centres
from .soft_edges import soft_step
from .thorax import Thorax


@dataclass(frozen=True, kw_only=True)
class Bones:
    """Parameters of the bones of one chest; lengths in units of the image's side.

    Attributes:
        first_rib: Height of the uppermost rib at the spine.
        spacing: From rib to rib.
        slope: How steeply ribs fall towards the side, as a factor.
        rib_half_width: Half the height of a rib.
        rib_density: Shadow of a posterior rib.
        collar: Height of the clavicles at the breastbone.
        collar_rise: How far they rise towards the shoulder.
        spine_density: Shadow of the spine.
        disc_phase: Where the first disc between vertebrae lies, as a share of their spacing.
    """

    first_rib: float
    spacing: float
    slope: float
    rib_half_width: float
    rib_density: float
    collar: float
    collar_rise: float
    spine_density: float
    disc_phase: float


def draw_bones(rng: np.random.Generator, thorax: Thorax) -> Bones:
    """Draw the bones of a chest."""
    return Bones(
        first_rib=thorax.apex - rng.uniform(0.0, 0.03),
        spacing=rng.uniform(0.070, 0.084),
        slope=rng.uniform(0.8, 1.25),
        rib_half_width=rng.uniform(0.013, 0.018),
        rib_density=rng.uniform(0.07, 0.13),
        collar=thorax.apex + rng.uniform(0.06, 0.10),
        collar_rise=rng.uniform(0.05, 0.11),
        spine_density=rng.uniform(0.04, 0.09),
        disc_phase=rng.uniform(0.0, 1.0),
    )


def render_bones(bones: Bones, thorax: Thorax, across: FloatArray) -> FloatArray:
    """Shadow of all bones, less that of the air in the windpipe.

    Args:
        bones: What to render.
        thorax: The chest that they hold.
        across: As `Thorax.across` gives it.

    Returns:
        Density, float32 (size, size).
    """
    size = len(across)
    y = pixel_centres(size)[:, None]
    pixel = 1.0 / size
    outward = np.abs(across)
    u = outward * np.float32(1.0 / thorax.half_width)
    # A rib can be seen as far as the chest wall; behind the spine it cannot be told from a vertebra.
    wall = soft_step(thorax.lateral(y) + np.float32(0.035) - outward, 0.03)
    scale = np.float32(thorax.half_width)
    density = _ribs(
        y - scale * u * (np.float32(-0.16) + np.float32(0.46 * bones.slope) * u * u),
        bones,
        pixel,
        first=bones.first_rib,
    )
    density *= soft_step(outward - np.float32(0.04), 0.03)
    front = _ribs(
        y - scale * (np.float32(0.30 * bones.slope) + np.float32(0.8) * (1.0 - u)),
        bones,
        pixel,
        first=bones.first_rib + 0.4 * bones.spacing,
    )
    # Towards the breastbone ribs are cartilage, which throws no shadow.
    front *= soft_step(u - np.float32(0.42), 0.4)
    density += np.float32(0.6) * front
    density *= wall
    density += _clavicles(bones, outward, y, pixel)
    density += _spine(bones, outward, y)
    return density


def _ribs(height: FloatArray, bones: Bones, pixel: float, *, first: float) -> FloatArray:
    # All ribs at once: the distance to the nearest of equally spaced ones.
    phase = (height - np.float32(first)) * np.float32(1.0 / bones.spacing)
    number = np.rint(phase)
    np.clip(number, 0.0, 9.0, out=number)
    phase -= number
    distance = np.abs(phase, out=phase) * np.float32(bones.spacing)
    shadow = soft_step(np.float32(bones.rib_half_width) + np.float32(0.5 * pixel) - distance, max(0.006, pixel))
    # The shell is denser than the marrow.
    rim = distance * np.float32(1.0 / bones.rib_half_width)
    shadow *= np.float32(bones.rib_density) * (np.float32(0.65) + np.float32(0.5) * rim * rim)
    return shadow


def _clavicles(bones: Bones, outward: FloatArray, y: FloatArray, pixel: float) -> FloatArray:
    along = (outward - np.float32(0.035)) * np.float32(1.0 / 0.36)
    # A flat S: it rises from the breastbone and levels out towards the shoulder.
    height = np.float32(bones.collar) - np.float32(bones.collar_rise) * along * (np.float32(2.0) - along)
    distance = np.abs(y - height)
    shadow = soft_step(np.float32(0.015 + 0.5 * pixel) - distance, max(0.007, pixel))
    rim = distance * np.float32(1.0 / 0.015)
    shadow *= np.float32(1.3 * bones.rib_density) * (np.float32(0.6) + np.float32(0.5) * rim * rim)
    shadow *= soft_step(along, 0.06)
    shadow *= soft_step(np.float32(1.06) - along, 0.1)
    return shadow


def _spine(bones: Bones, outward: FloatArray, y: FloatArray) -> FloatArray:
    discs = np.float32(0.85) + np.float32(0.15) * np.cos(
        np.float32(2 * np.pi / 0.055) * y + np.float32(2 * np.pi * bones.disc_phase)
    )
    column: FloatArray = soft_step(np.float32(0.048) - outward, 0.012) * discs * np.float32(bones.spine_density)
    # The windpipe ends where it divides, at the height of the fifth vertebra.
    windpipe = soft_step(np.float32(0.02) - outward, 0.008) * soft_step(np.float32(bones.collar + 0.2) - y, 0.06)
    column -= np.float32(0.09) * windpipe
    return column
