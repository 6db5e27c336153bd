"""Procedural skin: tone, mottling and light, without anything on it."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import zoom

from .pixel_grid import FloatArray, pixel_centres

# Reflectance (red, green, blue) from light to dark, chosen to look like dermoscopic photographs.
_TONES = np.array(
    [[0.94, 0.80, 0.75], [0.89, 0.70, 0.65], [0.83, 0.63, 0.53], [0.70, 0.50, 0.39], [0.55, 0.38, 0.29]],
    dtype=np.float32,
)
_MOTTLE_CELLS = 7


@lru_cache(maxsize=8)
def _mottle_upsampling(size: int) -> FloatArray:
    # Cubic interpolation is linear in the grid and separable: one matrix per side replaces a call to zoom per image.
    identity = np.eye(_MOTTLE_CELLS, dtype=np.float32)
    matrix: FloatArray = zoom(identity, (size / _MOTTLE_CELLS, 1), order=3, mode="nearest", grid_mode=True)
    matrix.setflags(write=False)
    return matrix


@dataclass(frozen=True, kw_only=True)
class Skin:
    """Parameters of one patch of skin and of the light on it.

    Attributes:
        tone: Reflectance, float32 (3,).
        mottle: Coarse random field of the brightness, float32 (7, 7).
        flush: Coarse random field of the redness, float32 (7, 7).
        vignette: Light lost at the corners, as a share.
        gradient: Change of the light across the image, along x and y, as a share.
    """

    tone: FloatArray
    mottle: FloatArray
    flush: FloatArray
    vignette: float
    gradient: tuple[float, float]


def draw_skin(rng: np.random.Generator) -> Skin:
    """Draw skin of any tone under any light."""
    # The power makes light skin the more frequent, as in the public collections.
    place = float(rng.random()) ** 1.5 * (len(_TONES) - 1)
    below = min(int(place), len(_TONES) - 2)
    tone = _TONES[below] + (place - below) * (_TONES[below + 1] - _TONES[below])
    tone = tone * (1.0 + 0.02 * rng.standard_normal(3)).astype(np.float32)
    fields = rng.standard_normal((2, _MOTTLE_CELLS, _MOTTLE_CELLS)).astype(np.float32)
    brightness_spread, redness_spread = rng.uniform(0.01, 0.05), rng.uniform(0.003, 0.012)
    return Skin(
        tone=tone,
        mottle=fields[0] * np.float32(brightness_spread),
        flush=fields[1] * np.float32(redness_spread),
        vignette=rng.uniform(0.0, 0.45),
        gradient=(rng.uniform(-0.18, 0.18), rng.uniform(-0.18, 0.18)),
    )


def render_skin(skin: Skin, size: int) -> FloatArray:
    """Render skin under its light.

    Args:
        skin: What to render.
        size: Side of the image in pixels.

    Returns:
        float32 (3, size, size), about in [0, 1], not clipped.
    """
    x = pixel_centres(size) - np.float32(0.5)
    upsampling = _mottle_upsampling(size)
    brightness = 1.0 + upsampling @ skin.mottle @ upsampling.T
    # Separable parts are added as a row and a column: the light costs two passes over the image.
    row = np.float32(skin.gradient[0]) * x - np.float32(2 * skin.vignette) * x * x
    column = np.float32(skin.gradient[1]) * x - np.float32(2 * skin.vignette) * x * x
    light = brightness * (1.0 + row[None, :] + column[:, None])
    image = (skin.tone[:, None, None] * light).astype(np.float32, copy=False)
    image[0] += upsampling @ skin.flush @ upsampling.T
    return image
