"""What is asked about a class that a classifier answers for want of evidence: what another image's pattern changes."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from .removal import draw_partners

# Side of a patch as a share of the image's shorter side: small enough to lie within what it is taken from.
_PATCH_SHARE = 0.25


def repeated_patches(images: Tensor, logits: Tensor) -> Tensor:
    """The patch of each image on which its mask lies most, mirrored again and again over the whole image.

    What speaks for something in the image then speaks for it everywhere: no pixel of another image hides it by where
    it lies. (An image that was asked about what it does not show has no such patch, and gives any; to do without those
    was no better, docs/nemt.md, lesson 23.)

    Args:
        images: (B, C, H, W).
        logits: (B, H, W), where each image's evidence lies.

    Returns:
        (B, C, H, W).
    """
    height, width = images.shape[-2:]
    side = max(1, round(_PATCH_SHARE * min(height, width)))
    inside = avg_pool2d(torch.sigmoid(2 * logits)[:, None], side, stride=1)[:, 0]
    best = inside.flatten(1).argmax(dim=1)
    rows = _there_and_back(height, side).to(images.device) + (best // inside.shape[2])[:, None]
    columns = _there_and_back(width, side).to(images.device) + (best % inside.shape[2])[:, None]
    which = torch.arange(len(images), device=images.device)[:, None, None, None]
    channels = torch.arange(images.shape[1], device=images.device)[None, :, None, None]
    return images[which, channels, rows[:, None, :, None], columns[:, None, None, :]]


def draw_patterns(images: Tensor, *, logits: Tensor, weaker: Tensor, generator: torch.Generator) -> Tensor:
    """For each image the pattern of another one of the batch in which its target is weaker.

    Args:
        images: (B, C, H, W) in [0, 1].
        logits: (B, H, W), where each image's evidence lies; no gradient goes there.
        weaker: bool (B, B): whether the target of the row's image is weaker in the column's image.
        generator: Source of randomness, on the CPU.

    Returns:
        (B, C, H, W) in [0, 1]; where there is no such image, the pattern is that of the first.
    """
    partners = draw_partners(weaker, generator)
    return repeated_patches(images[partners], logits.detach()[partners])


def _there_and_back(length: int, side: int) -> Tensor:
    """0 … side - 1, back to 0, and so on, int64 (length,)."""
    places = torch.arange(length) % (2 * side)
    return torch.where(places < side, places, 2 * side - 1 - places)
