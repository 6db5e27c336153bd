"""Drawing the parameters of findings: where, how large, how dense."""

import numpy as np

from ..catalog import closest_match
from ..errors import InputError
from ..lesion_shapes import draw_outline
from .findings import FINDINGS, Cardiomegaly, Consolidation, Effusion, Finding, Nodule, Pneumothorax
from .thorax import Thorax, heart_depth, lung_depth

_TRIES = 64


def draw_findings(rng: np.random.Generator, names: tuple[str, ...], thorax: Thorax) -> tuple[Finding, ...]:
    """Draw findings of one chest.

    Args:
        rng: Source of randomness.
        names: Which ones; opacities may come several times.
        thorax: The chest, with a heart of usual size.

    Raises:
        InputError: For an unknown name.
    """
    for name in names:
        if name not in FINDINGS:
            raise InputError(f"unknown finding {name!r}; {closest_match(name, list(FINDINGS))}")
    # One side has the air, the other the opacities: nothing lies in a collapsed lung that one could not see there.
    air_side = int(rng.integers(2))
    collapsed = "pneumothorax" in names
    return tuple(
        _draw(rng, name, thorax, side=1 - air_side if collapsed else None, air_side=air_side) for name in names
    )


def _draw(rng: np.random.Generator, name: str, thorax: Thorax, *, side: int | None, air_side: int) -> Finding:
    own_side = int(rng.integers(2)) if side is None else side
    if name == "consolidation":
        return Consolidation(
            outline=draw_outline(rng, area=rng.uniform(0.015, 0.06)),
            centre=_place_in_lung(rng, thorax, side=own_side, margin=0.04),
            density=rng.uniform(0.20, 0.36),
            edge=rng.uniform(0.3, 0.6),
            texture_seed=int(rng.integers(2**63)),
        )
    if name == "nodule":
        radius = rng.uniform(0.024, 0.05)
        return Nodule(
            centre=_place_in_lung(rng, thorax, side=own_side, margin=radius + 0.01),
            radius=radius,
            density=rng.uniform(0.20, 0.34),
        )
    if name == "effusion":
        depth = rng.uniform(0.06, 0.22)
        return Effusion(
            side=own_side,
            level=thorax.domes[own_side] + 0.4 * thorax.drop - 0.6 * depth,
            rise=rng.uniform(0.05, 0.12),
            density=rng.uniform(0.02, 0.07),
        )
    if name == "pneumothorax":
        return Pneumothorax(
            side=air_side, gap=rng.uniform(0.05, 0.13), end=rng.uniform(0.50, 0.72), lucency=rng.uniform(0.07, 0.12)
        )
    # Half of the chest's width is the clinical limit.
    return Cardiomegaly(factor=thorax.heart.factor_for(rng.uniform(0.54, 0.66) * 2 * thorax.half_width))


def _place_in_lung(rng: np.random.Generator, thorax: Thorax, *, side: int, margin: float) -> tuple[float, float]:
    # A place that lies that deep in the lung and apart from the heart, or else the deepest of those drawn.
    y = rng.uniform(thorax.apex, thorax.domes[side], _TRIES).astype(np.float32)
    outward = rng.uniform(thorax.mediastinum, thorax.half_width, _TRIES).astype(np.float32)
    across = outward if side else -outward
    depth = np.minimum(lung_depth(thorax, across, y, side=side), -heart_depth(thorax.heart, across, y))
    chosen = int(np.argmax(depth > margin)) if bool((depth > margin).any()) else int(np.argmax(depth))
    midline = thorax.midline + thorax.tilt * (float(y[chosen]) - 0.5)
    return midline + float(across[chosen]), float(y[chosen])
