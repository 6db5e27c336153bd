"""How training images are varied, for classifiers and decoders alike."""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from .fills import FillName, filled

AugmentName = Literal["photo", "flips", "mirror", "none"]
"""Names of augmentations.

``photo``: any rotation, mirror image, shift, scale and lighting, as between photographs of one thing;
``flips``: mirror images and quarter turns; ``mirror``: left-right; ``none``.
"""

_MAX_SCALE, _MAX_SHIFT, _MAX_LIGHT, _MAX_TINT = 1.4, 0.15, 0.25, 0.08
_REMOVED: tuple[FillName, ...] = ("mean", "blur", "noise")


def augmented(images: Tensor, kind: AugmentName, *, generator: torch.Generator | None = None) -> Tensor:
    """Vary a batch.

    Args:
        images: float32 (B, C, H, W) in [0, 1].
        kind: Which variations.
        generator: Source of randomness, on the CPU; None for the global one.

    Returns:
        float32 (B, C, H, W) in [0, 1].
    """
    if kind == "photo":
        return _relit(_moved(images, generator), generator)
    if kind != "none" and torch.rand((), generator=generator) < 0.5:
        images = images.flip(-1)
    if kind == "flips":
        images = torch.rot90(images, int(torch.randint(4, (), generator=generator)), dims=(-2, -1))
    return images


def partly_removed(images: Tensor, *, share: float, mean_color: Tensor) -> Tensor:
    """Remove smooth regions, a tenth to seven tenths of the image, from a share of the images, at random (globally).

    Explainers and metrics remove pixels and ask the classifier again. One that has never seen an image with a part
    missing answers such questions from outside of its training distribution.

    Args:
        images: float32 (B, C, H, W) in [0, 1].
        share: Share of the images, 0 to 1.
        mean_color: Colour that the classifier sees as zeros.

    Returns:
        float32 (B, C, H, W) in [0, 1].
    """
    if share == 0:
        return images  # and no number is drawn
    rows = torch.nonzero(torch.rand(len(images)) < share)[:, 0]
    if not len(rows):
        return images
    chosen = images[rows]
    blobs = interpolate(torch.rand(len(rows), 1, 5, 5), size=images.shape[-2:], mode="bicubic").flatten(1)
    n_removed = ((0.1 + 0.6 * torch.rand(len(rows), 1)) * blobs.shape[1]).long()
    is_removed = blobs <= blobs.sort(dim=1).values.gather(1, n_removed)
    removed = is_removed.reshape(len(rows), 1, *images.shape[-2:])
    fill: FillName = _REMOVED[int(torch.randint(len(_REMOVED), ()))]
    seeds = torch.randint(2**31, (len(rows),)).tolist()
    result = images.clone()
    result[rows] = torch.where(removed, filled(chosen, fill=fill, mean_color=mean_color, seeds=seeds), chosen)
    return result


def _moved(images: Tensor, generator: torch.Generator | None) -> Tensor:
    n = len(images)
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    scale = _MAX_SCALE ** (2 * torch.rand(n, generator=generator) - 1)
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    shift = _MAX_SHIFT * 2 * (2 * torch.rand(n, 2, generator=generator) - 1)
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack(
        [torch.stack([mirror * cosine, -sine, shift[:, 0]], 1), torch.stack([mirror * sine, cosine, shift[:, 1]], 1)], 1
    )
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _relit(images: Tensor, generator: torch.Generator | None) -> Tensor:
    n, channels = images.shape[:2]

    def factor(most: float, n_channels: int = 1) -> Tensor:
        return 1 + most * (2 * torch.rand(n, n_channels, 1, 1, generator=generator) - 1)

    gray = images.mean(dim=1, keepdim=True)
    saturated = gray + (images - gray) * factor(_MAX_LIGHT)
    middle = saturated.mean(dim=(1, 2, 3), keepdim=True)
    contrasted = middle + (saturated - middle) * factor(_MAX_LIGHT)
    return (contrasted * factor(_MAX_LIGHT) * factor(_MAX_TINT, channels)).clamp(0, 1)
