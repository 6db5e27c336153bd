"""From distances to shadows: soft edges that end exactly."""

import numpy as np

from ..pixel_grid import FloatArray


def soft_step(depth: FloatArray, width: float) -> FloatArray:
    """Rise from exactly 0 at a border to exactly 1 at a depth.

    Args:
        depth: Distance into the region, negative outside.
        width: Depth at which the full strength is reached, > 0.

    Returns:
        float32, the shape of ``depth``, in [0, 1].
    """
    t = depth * np.float32(1.0 / width)
    np.clip(t, 0.0, 1.0, out=t)
    step: FloatArray = t * t * (3.0 - 2.0 * t)
    return step
