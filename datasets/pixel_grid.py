"""Where the pixels of a procedural image lie."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@lru_cache(maxsize=8)
def pixel_centres(size: int) -> FloatArray:
    """Centres of the pixels of one side of an image.

    Args:
        size: Pixels of the side.

    Returns:
        float32 (size,) in (0, 1), read-only; one unit is the side of the image.
    """
    centres = ((np.arange(size) + 0.5) / size).astype(np.float32)
    centres.setflags(write=False)
    return centres
