"""Masks that keep a given share of the pixels: what teaches a decoder to rank all of them."""

import torch
from torch import Tensor

from ...datasets import InputError


def draw_levels(n_images: int, generator: torch.Generator) -> Tensor:
    """Shares of pixels to keep: as the area under an insertion curve weighs them, all alike.

    Args:
        n_images: Number of shares.
        generator: Source of randomness, on the CPU.

    Returns:
        float32 (n_images,) in [0.02, 0.98], one from each of as many equal parts of the range, in random order: every
        batch asks for all levels.
    """
    parts = torch.randperm(n_images, generator=generator)
    return 0.02 + 0.96 * (parts + torch.rand(n_images, generator=generator)) / n_images


def level_masks(logits: Tensor, levels: Tensor, *, softness: float) -> Tensor:
    """Keep the given share of the pixels, the highest ones, with a soft cut.

    Neither a shift nor a positive factor of an image's logits changes its mask: only their order and shape matter, so
    that area is not what is learned here.

    Args:
        logits: (B, H, W).
        levels: (B,), shares in [0, 1].
        softness: Of the cut, in standard deviations of an image's logits.

    Returns:
        (B, H, W) in [0, 1]; differentiable with respect to the logits, the cut being held fixed.

    Raises:
        InputError: If there is not one level per image.

    References:
        Every level alike is the expectation of insertion and deletion, the curves of Petsiuk et al., BMVC 2018.
        Training on ranks is in the spirit of Ra-NEM (Møller et al., 2026).
    """
    if levels.shape != (len(logits),):
        raise InputError(f"levels are {tuple(levels.shape)}; wanted ({len(logits)},), one per image")
    with torch.no_grad():
        descending = logits.flatten(1).sort(dim=1, descending=True).values
        last = descending.shape[1] - 1
        cuts = descending.gather(1, (levels * descending.shape[1]).long().clamp(0, last)[:, None])[:, :, None]
        width = softness * logits.flatten(1).std(dim=1).clamp(min=1e-6)[:, None, None]
    return torch.sigmoid((logits - cuts) / width)
