"""One procedural radiograph: drawn as parameters first, rendered at any size afterwards."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..pixel_grid import FloatArray, pixel_centres
from .bones import Bones, draw_bones, render_bones
from .devices import Devices, Marker, draw_devices, render_devices, render_marker
from .findings import Cardiomegaly, Chest, Finding, Shadow, survey
from .soft_edges import soft_step
from .thorax import Thorax, draw_thorax
from .vessels import Vessels, draw_vessels, render_vessels


@dataclass(frozen=True, kw_only=True)
class Film:
    """How the chest was exposed and developed.

    Attributes:
        brightness: Added to every density.
        contrast: Factor on densities.
        gamma: Exponent of the tone curve.
        grain: Spread of the noise.
        grain_seed: Seed of the noise.
    """

    brightness: float
    contrast: float
    gamma: float
    grain: float
    grain_seed: int


@dataclass(frozen=True, kw_only=True)
class Body:
    """Soft tissue around the chest; lengths in units of the image's side.

    Attributes:
        thickness: Density of the trunk.
        wall: Soft tissue beside the ribs.
        shoulder: Height of the shoulders at the sides of the image.
        breasts: Density of the tissue before the lower lungs.
        knob: Distance of the aortic arch from the midline.
        hila: Density of the vessels' roots.
        bubble: Radius of the air in the stomach, 0 for none.
    """

    thickness: float
    wall: float
    shoulder: float
    breasts: float
    knob: float
    hila: float
    bubble: float


@dataclass(frozen=True, kw_only=True)
class Radiograph:
    """Parameters of one image.

    Attributes:
        thorax: Outlines of lungs and heart.
        body: Soft tissue.
        bones: Ribs, clavicles, spine.
        vessels: Vessels of the lungs.
        findings: What is not as it should be.
        devices: Markers and lines, which lie over everything.
        marker: The shortcut's token, or None.
        film: Exposure and noise.
    """

    thorax: Thorax
    body: Body
    bones: Bones
    vessels: Vessels
    findings: tuple[Finding, ...]
    devices: Devices
    marker: Marker | None
    film: Film

    def chest(self, size: int) -> Chest:
        """Distances at one size, with the heart that the findings say."""
        heart = self.thorax.heart
        for finding in self.findings:
            if isinstance(finding, Cardiomegaly):
                heart = heart.enlarged(finding.factor)
        return survey(self.thorax, heart, size)


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """An image and the regions in it.

    Attributes:
        image: float32 (size, size) in [0, 1].
        regions: Region of each finding, bool (size, size).
        marker: Region of the shortcut's token, bool (size, size), or None.
    """

    image: FloatArray
    regions: list[NDArray[np.bool_]]
    marker: NDArray[np.bool_] | None


def draw_radiograph(rng: np.random.Generator) -> Radiograph:
    """Draw the parameters of an image without findings."""
    thorax = draw_thorax(rng)
    return Radiograph(
        thorax=thorax,
        body=Body(
            thickness=rng.uniform(0.62, 0.72),
            wall=rng.uniform(0.05, 0.09),
            shoulder=rng.uniform(0.08, 0.20),
            breasts=max(0.0, rng.uniform(-0.08, 0.10)),
            knob=rng.uniform(0.045, 0.07),
            hila=rng.uniform(0.08, 0.14),
            bubble=rng.uniform(0.03, 0.06) if rng.random() < 0.5 else 0.0,
        ),
        bones=draw_bones(rng, thorax),
        vessels=draw_vessels(rng, thorax),
        findings=(),
        devices=draw_devices(rng),
        marker=None,
        film=Film(
            brightness=rng.uniform(-0.06, 0.06),
            contrast=rng.uniform(0.85, 1.12),
            gamma=rng.uniform(0.85, 1.25),
            grain=rng.uniform(0.008, 0.025),
            grain_seed=int(rng.integers(2**63)),
        ),
    )


def render_radiograph(radiograph: Radiograph, size: int) -> Rendered:
    """Render an image and its regions.

    A region holds every pixel that its finding changes: outside of it, the image is bit for bit the one that is
    rendered without the finding. The region of an enlarged heart is the whole heart.

    Args:
        radiograph: What to render.
        size: Side of the image in pixels.
    """
    chest = radiograph.chest(size)
    shadows = [finding.render(chest) for finding in radiograph.findings]
    density = _density(radiograph, chest, shadows)
    marker = None
    if radiograph.marker is not None:
        shadow, marker = render_marker(radiograph.marker, size)
        density += shadow
    film = radiograph.film
    density -= np.float32(0.5 - film.brightness)
    density *= np.float32(film.contrast)
    density += np.float32(0.5)
    np.clip(density, 0.0, 1.0, out=density)
    np.power(density, np.float32(film.gamma), out=density)
    noise = np.random.Generator(np.random.SFC64(film.grain_seed))
    density += noise.standard_normal((size, size), dtype=np.float32) * np.float32(film.grain)
    np.clip(density, 0.0, 1.0, out=density)
    return Rendered(image=density, regions=[shadow.region for shadow in shadows], marker=marker)


def _density(radiograph: Radiograph, chest: Chest, shadows: list[Shadow]) -> FloatArray:
    body, thorax, across = radiograph.body, chest.thorax, chest.across
    size = len(across)
    y = pixel_centres(size)[:, None]
    heart = soft_step(chest.heart, 0.022)
    air = _air(chest.lungs[0]) + _air(chest.lungs[1])
    air *= 1.0 - np.float32(0.9) * heart
    density = _trunk(body, thorax, across, y)
    density += np.float32(0.05) * heart
    density += render_bones(radiograph.bones, thorax, across)
    blood = render_vessels(radiograph.vessels, size)
    blood *= np.float32(0.24)
    blood += _hila(body, thorax, across, y)
    blood *= air
    for shadow in shadows:
        if shadow.bloodless is not None:
            blood *= 1.0 - shadow.bloodless
        if shadow.airless is not None:
            air *= 1.0 - shadow.airless
        if shadow.density is not None:
            density += shadow.density
    density += blood
    density -= np.float32(0.46) * air
    devices = render_devices(radiograph.devices, size)
    if devices is not None:
        density += devices
    return density


def _air(depth: FloatArray) -> FloatArray:
    # A lung is thin at its borders and thick in its middle.
    return soft_step(depth, 0.016) * (np.float32(0.62) + np.float32(0.38) * soft_step(depth, 0.13))


def _trunk(body: Body, thorax: Thorax, across: FloatArray, y: FloatArray) -> FloatArray:
    outward = np.abs(across)
    u = outward * np.float32(1.0 / thorax.half_width)
    trunk = np.float32(body.thickness) - np.float32(0.12) * u * u
    # What lies between the lungs, and the belly below them.
    trunk += np.float32(0.03) * soft_step(np.float32(thorax.mediastinum + 0.02) - outward, 0.03)
    trunk += np.float32(0.10) * soft_step(y - np.float32(sum(thorax.domes) / 2), 0.2)
    if body.bubble > 0.0:
        x, down = across - np.float32(0.16), y - np.float32(thorax.domes[1] + 0.075)
        trunk -= np.float32(0.22) * soft_step(
            1.0 - (x * x + np.float32(2.5) * down * down) * np.float32(body.bubble**-2), 0.5
        )
    if body.breasts > 0.0:
        x, down = outward - np.float32(0.21), y - np.float32(0.66)
        trunk += np.float32(body.breasts) * soft_step(1.0 - (x * x + down * down) * np.float32(0.15**-2), 0.5)
    # The trunk ends beside the ribs, below the arms, and above the shoulders; beyond is air.
    wall = np.float32(thorax.half_width + body.wall) + np.float32(0.4) * soft_step(np.float32(0.5) - y, 0.25)
    shoulder = np.float32(body.shoulder) * soft_step(outward - np.float32(0.09), 0.5)
    trunk *= soft_step(np.minimum(wall - outward, y - shoulder + np.float32(0.02)), 0.04)
    return trunk


def _hila(body: Body, thorax: Thorax, across: FloatArray, y: FloatArray) -> FloatArray:
    # Where vessels and airways enter the lungs, and the arch of the aorta.
    outward = np.abs(across) - np.float32(0.075)
    down = y - np.float32(thorax.apex + 0.33)
    roots = np.float32(2.2 * body.hila) * soft_step(
        1.0 - (np.float32(4.0) * outward * outward + down * down) * np.float32(0.12**-2), 0.9
    )
    x, down = across - np.float32(body.knob), y - np.float32(thorax.apex + 0.24)
    roots += np.float32(0.22) * soft_step(1.0 - (x * x + down * down) * np.float32(0.045**-2), 0.4)
    return roots
