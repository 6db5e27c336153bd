"""Procedural anatomy: the outlines of lungs, diaphragm and heart, as distances to them."""

from dataclasses import dataclass, replace

import numpy as np

from ..pixel_grid import FloatArray, pixel_centres


@dataclass(frozen=True, kw_only=True)
class Ellipse:
    """An ellipse; lengths in units of the image's side, ``x`` from the midline to the patient's left.

    Attributes:
        x: Centre, across.
        y: Centre, down from the image's upper side.
        a: Half axis that lies across before turning.
        b: The other half axis.
        angle: Turn, in radians.
    """

    x: float
    y: float
    a: float
    b: float
    angle: float

    @property
    def half_width(self) -> float:
        """Farthest reach across, from the centre."""
        return float(np.hypot(self.a * np.cos(self.angle), self.b * np.sin(self.angle)))


@dataclass(frozen=True, kw_only=True)
class Heart:
    """The heart's shadow: the union of the left ventricle and the right atrium.

    Attributes:
        ventricle: The larger part, to the patient's left.
        atrium: The smaller part, which reaches beyond the spine to the patient's right.
    """

    ventricle: Ellipse
    atrium: Ellipse

    @property
    def width(self) -> float:
        """From the rightmost to the leftmost point."""
        return self.ventricle.x + self.ventricle.half_width - (self.atrium.x - self.atrium.half_width)

    def enlarged(self, factor: float) -> "Heart":
        """The same heart, dilated about the centre of each part, so that it covers the one before."""
        parts = (self.ventricle, self.atrium)
        # Width grows more than height: hearts dilate sideways, between sternum and diaphragm.
        wider = [replace(part, a=part.a * factor, b=part.b * (1 + 0.6 * (factor - 1))) for part in parts]
        return Heart(ventricle=wider[0], atrium=wider[1])

    def factor_for(self, width: float) -> float:
        """Factor that makes it that wide, or slightly less."""
        return 1.0 + (width - self.width) / (self.ventricle.half_width + self.atrium.half_width)


@dataclass(frozen=True, kw_only=True)
class Thorax:
    """Parameters of one chest in frontal view; lengths in units of the image's side.

    Attributes:
        midline: Where the spine crosses the middle of the image.
        tilt: Lean of the spine, across per down.
        half_width: From the midline to the widest place of the rib cage.
        apex: Upper end of the lungs.
        apex_x: Distance of the lungs' upper ends from the midline.
        waist: Height at which the rib cage is the widest.
        mediastinum: Half width of what lies between the lungs.
        domes: Height of the diaphragm under the patient's right and left lung.
        drop: How far the diaphragm falls from its dome to its side.
        heart: Size and place of the heart, without disease.
    """

    midline: float
    tilt: float
    half_width: float
    apex: float
    apex_x: float
    waist: float
    mediastinum: float
    domes: tuple[float, float]
    drop: float
    heart: Heart

    def across(self, size: int) -> FloatArray:
        """Distance of every pixel from the midline, positive to the patient's left: float32 (size, size)."""
        centres = pixel_centres(size)
        midline = np.float32(self.midline) + np.float32(self.tilt) * (centres[:, None] - np.float32(0.5))
        offset: FloatArray = centres[None, :] - midline
        return offset

    def lateral(self, y: FloatArray) -> FloatArray:
        """Outer border of a lung: distance from the midline at heights ``y``."""
        up = np.clip((self.waist - y) / (self.waist - self.apex), 0.0, 1.0)
        down = np.clip((y - self.waist) / 0.4, 0.0, 1.0)
        border: FloatArray = (
            self.apex_x + (self.half_width - self.apex_x) * np.sqrt(1.0 - up**2.3) - 0.05 * self.half_width * down
        ).astype(np.float32)
        return border

    def medial(self, y: FloatArray) -> FloatArray:
        """Inner border of a lung, where no heart is: distance from the midline at heights ``y``."""
        up = np.clip((self.waist - y) / (self.waist - self.apex), 0.0, 1.0)
        # Great vessels make the border wavy.
        width = self.mediastinum * (1.0 + 0.2 * np.sin((y - self.apex) * 14.0 + 2.0))
        border: FloatArray = (self.apex_x - (self.apex_x - width) * np.sqrt(1.0 - up**7)).astype(np.float32)
        return border

    def diaphragm(self, outward: FloatArray, side: int) -> FloatArray:
        """Height of the diaphragm.

        Args:
            outward: Distance from the midline.
            side: 0 for the patient's right, 1 for the left.
        """
        peak = np.float32(0.48 * self.half_width)
        bend = (outward - peak) * np.float32(1.0 / (self.half_width - peak))
        height: FloatArray = np.float32(self.domes[side]) + np.float32(self.drop) * bend * bend
        return height


def draw_thorax(rng: np.random.Generator) -> Thorax:
    """Draw a chest without disease."""
    half_width = rng.uniform(0.37, 0.43)
    right_dome = rng.uniform(0.70, 0.78)
    left_dome = right_dome + rng.uniform(0.01, 0.045)
    # From a slender to a wide heart, all of them below half of the chest's width.
    size = half_width * rng.uniform(0.86, 1.04)
    heart_y = left_dome - rng.uniform(0.085, 0.115)
    heart = Heart(
        ventricle=Ellipse(
            x=0.17 * size, y=heart_y, a=0.46 * size, b=rng.uniform(0.30, 0.345) * size, angle=rng.uniform(0.5, 0.8)
        ),
        atrium=Ellipse(x=-0.07 * size, y=heart_y - 0.02, a=0.21 * size, b=0.36 * size, angle=rng.uniform(-0.15, 0.1)),
    )
    return Thorax(
        midline=rng.uniform(0.475, 0.525),
        tilt=rng.uniform(-0.05, 0.05),
        half_width=half_width,
        apex=rng.uniform(0.07, 0.13),
        apex_x=rng.uniform(0.36, 0.44) * half_width,
        waist=rng.uniform(0.58, 0.66),
        mediastinum=rng.uniform(0.045, 0.065),
        domes=(right_dome, left_dome),
        drop=rng.uniform(0.08, 0.15),
        heart=heart,
    )


def lung_depth(thorax: Thorax, across: FloatArray, y: FloatArray, *, side: int) -> FloatArray:
    """Distance to the nearest border of a lung, about; negative outside.

    Args:
        thorax: Whose lung.
        across: Distance from the midline, positive to the patient's left.
        y: Height, of a shape that broadcasts with ``across``.
        side: 0 for the patient's right, 1 for the left.

    Returns:
        float32, the shape of ``across``.
    """
    outward = across if side else -across
    depth: FloatArray = np.minimum(outward - thorax.medial(y), thorax.lateral(y) - outward)
    np.minimum(depth, thorax.diaphragm(outward, side) - y, out=depth)
    return depth


def heart_depth(heart: Heart, across: FloatArray, y: FloatArray) -> FloatArray:
    """Distance to the heart's border, about; negative outside: float32, the shape of ``across``."""
    return np.maximum(_ellipse_depth(heart.ventricle, across, y), _ellipse_depth(heart.atrium, across, y))


def _ellipse_depth(ellipse: Ellipse, across: FloatArray, y: FloatArray) -> FloatArray:
    x, down = across - np.float32(ellipse.x), y - np.float32(ellipse.y)
    cos, sin = np.cos(ellipse.angle), np.sin(ellipse.angle)
    # |(p, q)| with p and q in half axes, as a quadratic form: fewer passes than turning the coordinates.
    xx = np.float32((cos / ellipse.a) ** 2 + (sin / ellipse.b) ** 2)
    yy = np.float32((sin / ellipse.a) ** 2 + (cos / ellipse.b) ** 2)
    xy = np.float32(2 * cos * sin * (ellipse.a**-2 - ellipse.b**-2))
    form = x * (x * xx + down * xy)
    form += yy * down * down
    np.sqrt(form, out=form)
    depth: FloatArray = (1.0 - form) * np.float32(min(ellipse.a, ellipse.b))
    return depth
