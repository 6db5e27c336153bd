"""Smooth regions at random places."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

_GRID = 5


def draw_blob_fields(n: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Random numbers on a coarse grid, float32 (N, 1, 5, 5), from which `blobs` makes regions.

    Args:
        n: How many.
        generator: Source of randomness, on the CPU; None for the global one.
    """
    return torch.rand(n, 1, _GRID, _GRID, generator=generator)


def blobs(fields: Tensor, *, shares: Tensor, size: tuple[int, int]) -> Tensor:
    """Where smooth fields are lowest.

    Args:
        fields: (N, 1, h, w), interpolated to the size.
        shares: (N,), share of the pixels that each region covers, 0 to less than 1; at least one pixel is inside.
        size: Height and width of an image.

    Returns:
        bool (N, 1, height, width).
    """
    heights = interpolate(fields, size=size, mode="bicubic").flatten(1)
    n_inside = (shares * heights.shape[1]).long()
    is_inside = heights <= heights.sort(dim=1).values.gather(1, n_inside[:, None])
    return is_inside.reshape(len(fields), 1, *size)
