"""How training images are varied, for classifiers and decoders alike."""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from .blobs import blobs, draw_blob_fields
from .fills import FillName, filled

AugmentName = Literal["dermoscope", "camera", "photo", "flips", "mirror", "none"]
"""Names of augmentations.

``photo``: any rotation, mirror image, shift, scale and lighting, as between photographs of one thing; ``camera``: the
same, wider, and another tone curve, as between cameras; ``dermoscope``: as ``camera``, and half of the images as
through a round aperture with dark corners; ``flips``: mirror images and quarter turns; ``mirror``: left-right;
``none``.
"""


class _Range(NamedTuple):
    """How far photographs of one thing differ: a factor of size and of gamma, and shares of the rest.

    ``aperture`` is the share of the images that are seen through one.
    """

    scale: float
    shift: float
    light: float
    tint: float
    gamma: float
    aperture: float = 0.0


_PHOTO = _Range(scale=1.4, shift=0.15, light=0.25, tint=0.08, gamma=1.0)
_CAMERA = _Range(scale=2.0, shift=0.2, light=0.4, tint=0.2, gamma=1.6)
_DERMOSCOPE = _CAMERA._replace(aperture=0.5)
_PHOTOGRAPHIC = {"photo": _PHOTO, "camera": _CAMERA, "dermoscope": _DERMOSCOPE}
_REMOVED: tuple[FillName, ...] = ("mean", "blur", "noise")


def augmented(images: Tensor, kind: AugmentName, *, generator: torch.Generator | None = None) -> Tensor:
    """Vary a batch.

    Args:
        images: float32 (B, C, H, W) in [0, 1], on any device.
        kind: Which variations.
        generator: Source of randomness, on the CPU; None for the global one.

    Returns:
        float32 (B, C, H, W) in [0, 1], on the images' device.
    """
    most = _PHOTOGRAPHIC.get(kind)
    if most is not None:
        images = _relit(_moved(images, most, generator), most, generator)
        return _through_apertures(images, most.aperture, generator) if most.aperture else images
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
    fields = draw_blob_fields(len(rows))
    removed = blobs(fields, shares=0.1 + 0.6 * torch.rand(len(rows)), size=(images.shape[-2], images.shape[-1]))
    fill: FillName = _REMOVED[int(torch.randint(len(_REMOVED), ()))]
    seeds = torch.randint(2**31, (len(rows),)).tolist()
    result = images.clone()
    result[rows] = torch.where(removed, filled(chosen, fill=fill, mean_color=mean_color, seeds=seeds), chosen)
    return result


def _moved(images: Tensor, most: _Range, generator: torch.Generator | None) -> Tensor:
    n = len(images)
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    scale = most.scale ** (2 * torch.rand(n, generator=generator) - 1)
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    shift = most.shift * 2 * (2 * torch.rand(n, 2, generator=generator) - 1)
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack(
        [torch.stack([mirror * cosine, -sine, shift[:, 0]], 1), torch.stack([mirror * sine, cosine, shift[:, 1]], 1)], 1
    )
    grid = affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _relit(images: Tensor, most: _Range, generator: torch.Generator | None) -> Tensor:
    n, channels = images.shape[:2]

    def draw(n_channels: int = 1) -> Tensor:
        return 2 * torch.rand(n, n_channels, 1, 1, generator=generator).to(images.device) - 1

    def factor(share: float, n_channels: int = 1) -> Tensor:
        return 1 + share * draw(n_channels)

    if most.gamma > 1:
        images = images**most.gamma ** draw()
    gray = images.mean(dim=1, keepdim=True)
    saturated = gray + (images - gray) * factor(most.light)
    middle = saturated.mean(dim=(1, 2, 3), keepdim=True)
    contrasted = middle + (saturated - middle) * factor(most.light)
    return (contrasted * factor(most.light) * factor(most.tint, channels)).clamp(0, 1)


def _through_apertures(images: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """A share of the images through a round hole, 0.8 to 1.4 of the shorter side across, its edge sharp or soft."""
    n, _, height, width = images.shape
    half, device = min(height, width) / 2, images.device
    y = (torch.arange(height, device=device) + 0.5 - height / 2)[:, None] / half
    x = (torch.arange(width, device=device) + 0.5 - width / 2) / half

    def draw(least: float, most: float) -> Tensor:
        return least + (most - least) * torch.rand(n, 1, 1, generator=generator).to(device)

    across, along = 0.12 * torch.randn(2, n, 1, 1, generator=generator).to(device)
    inside = torch.sigmoid((draw(0.8, 1.4) - torch.hypot(x - across, y - along)) / draw(0.02, 0.15))
    darkest = draw(0.0, 0.25)
    light = darkest + (1 - darkest) * inside
    return images * torch.where(draw(0.0, 1.0) < share, light, 1.0)[:, None]
