"""One procedural image: drawn as parameters first, rendered at any size afterwards."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .distractors import Distractors, draw_distractors, render_distractors
from .lesion_shapes import Outline, Pixels, draw_outline, pixels_inside, place_outlines
from .lesion_textures import TEXTURES, waves
from .pixel_grid import FloatArray
from .skin import Skin, draw_skin, render_skin


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """Parameters of one lesion; nothing but ``lesion_type`` depends on its type.

    Attributes:
        lesion_type: Name of its texture.
        outline: Its shape and size.
        centre: Where it lies, (x, y) in units of the image's side.
        pigment: Share of the light that it sends back, by channel, float32 (3,).
        edge: Depth over which the pigment reaches its full strength, in lesion radii.
        blotch: Spread of the smooth variation of the pigment, as a share.
        contrast: Spread of the texture, as a share.
        texture_seed: Seed of blotch and texture.
    """

    lesion_type: str
    outline: Outline
    centre: tuple[float, float]
    pigment: FloatArray
    edge: float
    blotch: float
    contrast: float
    texture_seed: int


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Parameters of one image.

    Attributes:
        skin: Skin and light.
        lesions: Lesions that do not touch each other.
        distractors: Hairs and ruler, which lie over everything.
        grain: Spread of the camera's noise.
        grain_seed: Seed of the camera's noise.
    """

    skin: Skin
    lesions: tuple[Lesion, ...]
    distractors: Distractors
    grain: float
    grain_seed: int


def draw_scene(rng: np.random.Generator, *, lesion_types: tuple[str, ...], area: tuple[float, float]) -> Scene:
    """Draw the parameters of an image.

    The types are used last and change no draw: two scenes of one seed that differ in type differ in texture only.

    Args:
        rng: Source of randomness.
        lesion_types: The type of each lesion, up to four.
        area: Smallest and largest share of the image that one lesion covers.
    """
    skin = draw_skin(rng)
    distractors = draw_distractors(rng)
    outlines = [draw_outline(rng, area=rng.uniform(*area)) for _ in lesion_types]
    centres = place_outlines(rng, outlines)
    lesions = tuple(
        _draw_lesion(rng, lesion_type=lesion_type, outline=outline, centre=centre)
        for lesion_type, outline, centre in zip(lesion_types, outlines, centres, strict=True)
    )
    return Scene(
        skin=skin,
        lesions=lesions,
        distractors=distractors,
        grain=rng.uniform(0.006, 0.02),
        grain_seed=int(rng.integers(2**63)),
    )


def render_scene(scene: Scene, size: int) -> tuple[FloatArray, list[NDArray[np.bool_]]]:
    """Render an image and the region of each of its lesions.

    A region is exactly the set of pixels that its lesion changes: outside of it, the image is bit for bit the one that
    is rendered without the lesion.

    Args:
        scene: What to render.
        size: Side of the image in pixels.

    Returns:
        The image, float32 (3, size, size) in [0, 1], and one mask per lesion, bool (size, size).
    """
    image = render_skin(scene.skin, size)
    flat = image.reshape(3, -1)
    masks = []
    for lesion in scene.lesions:
        pixels = pixels_inside(lesion.outline, lesion.centre, size)
        # Positions in a flat channel: faster than rows and columns of all channels at once.
        for channel, light in zip(flat, _lesion_light(lesion, pixels), strict=True):
            channel[pixels.index] *= light
        mask = np.zeros(size * size, dtype=np.bool_)
        mask[pixels.index] = True
        masks.append(mask.reshape(size, size))
    shade = render_distractors(scene.distractors, size)
    if shade is not None:
        image *= shade
    noise = np.random.Generator(np.random.SFC64(scene.grain_seed))
    # One field for all channels: noise of the brightness.
    image += noise.standard_normal((size, size), dtype=np.float32) * np.float32(scene.grain)
    np.clip(image, 0.0, 1.0, out=image)
    return image, masks


def covered_pixels(scene: Scene, size: int) -> NDArray[np.bool_]:
    """The region of all lesions together, without rendering anything.

    Args:
        scene: Whose lesions.
        size: Side of the image in pixels.

    Returns:
        bool (size, size), the union of the masks that `render_scene` gives.
    """
    mask = np.zeros(size * size, dtype=np.bool_)
    for lesion in scene.lesions:
        mask[pixels_inside(lesion.outline, lesion.centre, size).index] = True
    return mask.reshape(size, size)


def _draw_lesion(
    rng: np.random.Generator, *, lesion_type: str, outline: Outline, centre: tuple[float, float]
) -> Lesion:
    darkness = rng.uniform(0.35, 0.62)
    # Melanin takes more blue than red: brown, from tan to nearly black.
    absorbed = darkness * np.array([0.80, 1.0, 1.06]) * (1.0 + 0.05 * rng.standard_normal(3))
    return Lesion(
        lesion_type=lesion_type,
        outline=outline,
        centre=centre,
        pigment=(1.0 - absorbed).astype(np.float32),
        edge=rng.uniform(0.08, 0.28),
        blotch=rng.uniform(0.04, 0.10),
        contrast=rng.uniform(0.15, 0.26),
        texture_seed=int(rng.integers(2**63)),
    )


def _lesion_light(lesion: Lesion, pixels: Pixels) -> FloatArray:
    # Share of light that the lesion sends back, float32 (3, n).
    rest = 1.0 - np.clip(pixels.depth / np.float32(lesion.edge), 0.0, 1.0)
    strength = 1.0 - rest * rest
    rng = np.random.Generator(np.random.PCG64(lesion.texture_seed))
    blotch = _standardized(waves(rng, pixels.u, pixels.v, wavelengths=(1.4, 3.0)), strength)
    texture = _standardized(TEXTURES[lesion.lesion_type](rng, pixels.u, pixels.v), strength)
    variation = 1.0 - np.float32(lesion.blotch) * blotch - np.float32(lesion.contrast) * texture
    light: FloatArray = 1.0 - strength * (1.0 - lesion.pigment[:, None] * variation)
    return light


def _standardized(field: FloatArray, weight: FloatArray) -> FloatArray:
    # Weighted mean 0 and spread 1, so that the mean colour of a lesion says nothing about its type.
    total = float(weight.sum())
    centred = field - np.float32(float(field @ weight) / total)
    spread = np.sqrt(float((centred * centred) @ weight) / total)
    result: FloatArray = centred / np.float32(max(spread, 1e-6))
    return result
