"""Procedural findings of the chest: each changes the image in its own region and nowhere else."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..lesion_shapes import Outline, pixels_inside
from ..lesion_textures import waves
from ..pixel_grid import FloatArray, pixel_centres
from .soft_edges import soft_step
from .thorax import Heart, Thorax, heart_depth, lung_depth

FINDINGS = ("consolidation", "nodule", "effusion", "pneumothorax", "cardiomegaly")
"""The findings, in the order of the outputs."""


@dataclass(frozen=True, kw_only=True)
class Chest:
    """Distances that findings are rendered on, all float32 (size, size).

    Attributes:
        thorax: The chest.
        across: Distance from the midline, positive to the patient's left.
        lungs: Depth in the patient's right and left lung, negative outside.
        heart: Depth in the heart, enlarged or not, negative outside.
    """

    thorax: Thorax
    across: FloatArray
    lungs: tuple[FloatArray, FloatArray]
    heart: FloatArray

    @property
    def field(self) -> NDArray[np.bool_]:
        """The lungs as far as no heart hides them, bool (size, size)."""
        visible: NDArray[np.bool_] = (np.maximum(*self.lungs) > 0.0) & (self.heart <= 0.0)
        return visible


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """What a finding does to an image; nothing outside of its region.

    Attributes:
        region: Where it changes the image, bool (size, size).
        density: Added shadow, float32 (size, size), below 0 where there is more air; or None.
        airless: Share of the lung's air that is gone, float32 (size, size), or None.
        bloodless: Share of the lung's vessels that is gone, float32 (size, size), or None.
    """

    region: NDArray[np.bool_]
    density: FloatArray | None = None
    airless: FloatArray | None = None
    bloodless: FloatArray | None = None


def survey(thorax: Thorax, heart: Heart, size: int) -> Chest:
    """Measure a chest.

    Args:
        thorax: The chest.
        heart: Its heart, enlarged or not.
        size: Side of the image in pixels.
    """
    across, y = thorax.across(size), pixel_centres(size)[:, None]
    return Chest(
        thorax=thorax,
        across=across,
        lungs=(lung_depth(thorax, across, y, side=0), lung_depth(thorax, across, y, side=1)),
        heart=heart_depth(heart, across, y),
    )


@dataclass(frozen=True, kw_only=True)
class Consolidation:
    """Airspace filled with fluid: a cloudy opacity with soft borders.

    Attributes:
        outline: Its shape and size.
        centre: Where it lies, (x, y) in units of the image's side.
        density: Shadow where it is the densest.
        edge: Depth over which it reaches that, in its own radii.
        texture_seed: Seed of the clouds.
    """

    outline: Outline
    centre: tuple[float, float]
    density: float
    edge: float
    texture_seed: int

    def render(self, chest: Chest) -> Shadow:
        """Clouds within the lungs."""
        size = len(chest.across)
        pixels = pixels_inside(self.outline, self.centre, size)
        rng = np.random.Generator(np.random.PCG64(self.texture_seed))
        clouds = 1.0 + np.float32(0.22) * waves(rng, pixels.u, pixels.v, wavelengths=(0.45, 1.5), n_waves=6)
        flat = np.zeros(size * size, dtype=np.float32)
        flat[pixels.index] = soft_step(pixels.depth, self.edge) * np.clip(clouds, 0.4, 1.4)
        strength = flat.reshape(size, size)
        strength *= chest.field
        # Vessels stand out against air, and there is less of it here.
        bloodless = np.minimum(strength, np.float32(0.85))
        return Shadow(region=strength > 0.0, density=np.float32(self.density) * strength, bloodless=bloodless)


@dataclass(frozen=True, kw_only=True)
class Nodule:
    """A round opacity, denser than any vessel of its size.

    Attributes:
        centre: Where it lies, (x, y) in units of the image's side.
        radius: In units of the image's side.
        density: Shadow in its centre.
    """

    centre: tuple[float, float]
    radius: float
    density: float

    def render(self, chest: Chest) -> Shadow:
        """The shadow of a ball with a slightly blurred border."""
        size = len(chest.across)
        centres = pixel_centres(size)
        x, y = (centres - np.float32(place) for place in self.centre)
        squared = (x * x)[None, :] + (y * y)[:, None]
        ball = np.clip(1.0 - squared * np.float32(self.radius**-2), 0.0, None)
        density = np.float32(self.density) * np.sqrt(ball, out=ball)
        density *= chest.field
        return Shadow(region=density > 0.0, density=density)


@dataclass(frozen=True, kw_only=True)
class Effusion:
    """Fluid at the bottom of the pleural space, which rises towards the side.

    Attributes:
        side: 0 for the patient's right, 1 for the left.
        level: Height of the fluid at the medial border of the lung, in units of the image's side.
        rise: How much higher it stands at the chest wall.
        density: Shadow of the fluid.
    """

    side: int
    level: float
    rise: float
    density: float

    def render(self, chest: Chest) -> Shadow:
        """Fluid within the lung's outline, below a meniscus."""
        y = pixel_centres(len(chest.across))[:, None]
        outward = chest.across if self.side else -chest.across
        share = np.clip(outward * np.float32(1.0 / chest.thorax.half_width), 0.0, 1.0)
        surface = np.float32(self.level) - np.float32(self.rise) * share * share * share
        fluid = soft_step(y - surface, 0.05)
        fluid *= chest.lungs[self.side] > 0.0
        fluid *= chest.heart <= 0.0
        return Shadow(region=fluid > 0.0, density=np.float32(self.density) * fluid, airless=fluid, bloodless=fluid)


@dataclass(frozen=True, kw_only=True)
class Pneumothorax:
    """Air between lung and chest wall: no vessels beyond a thin line.

    Attributes:
        side: 0 for the patient's right, 1 for the left.
        gap: Width of the air at the apex, in units of the image's side.
        end: Height where lung and wall meet again.
        lucency: How much darker than lung the air is.
    """

    side: int
    gap: float
    end: float
    lucency: float

    def render(self, chest: Chest) -> Shadow:
        """Darker air without vessels, and the pleura as a bright line at its inner border."""
        size = len(chest.across)
        y = pixel_centres(size)[:, None]
        outward = chest.across if self.side else -chest.across
        thorax = chest.thorax
        down = np.clip((y - np.float32(thorax.apex)) / np.float32(self.end - thorax.apex), 0.0, 1.0)
        gap = np.float32(self.gap) * (1.0 - down * down)
        # The collapsed lung keeps its shape: its apex sinks as far as its side moves inwards.
        sunk = thorax.lateral(y - np.float32(0.8 * self.gap) * (1.0 - down)) - gap
        beyond = outward - sunk
        region = (beyond > 0.0) & (chest.lungs[self.side] > 0.0) & (y < np.float32(self.end))
        line = soft_step(np.float32(max(0.010, 1.2 / size)) - beyond, max(0.006, 1.0 / size))
        density = region * (np.float32(0.11) * line - np.float32(self.lucency))
        return Shadow(region=region, density=density, bloodless=region.astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class Cardiomegaly:
    """An enlarged heart; the evidence is the whole heart, not what it gained.

    Attributes:
        factor: How much wider than before.
    """

    factor: float

    def render(self, chest: Chest) -> Shadow:
        """Nothing but its region: the heart of the chest is enlarged already."""
        return Shadow(region=chest.heart > 0.0)


Finding = Consolidation | Nodule | Effusion | Pneumothorax | Cardiomegaly
