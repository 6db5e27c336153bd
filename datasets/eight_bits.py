"""Images of 256 values in a quarter of the bytes, and exactly the same numbers."""

import torch
from torch import Tensor


def compact(image: Tensor) -> Tensor:
    """The image in as few bytes as hold it exactly.

    Args:
        image: float32 (C, H, W) in [0, 1].

    Returns:
        uint8 where every value is a whole number of 255ths, as of most files, else the image itself.
    """
    small = torch.round(image * 255.0).to(torch.uint8)
    return small if torch.equal(restored(small), image) else image


def restored(kept: Tensor) -> Tensor:
    """The image, float32 (C, H, W) in [0, 1], bit for bit what `compact` was given."""
    return kept.to(torch.float32) / 255.0 if kept.dtype == torch.uint8 else kept
