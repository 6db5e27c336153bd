"""What removed pixels become: a small catalog of named fills, for training decoders and for scoring alike."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, interpolate

from ..datasets import InputError, closest_match
from .separable import along_both_sides, line_matrix

FillName = Literal["mean", "image_mean", "blur", "noise"]
"""Names of fills.

``mean`` is the colour that the classifier sees as zeros, ``image_mean`` the image's own mean colour, ``blur`` the image
without its texture, ``noise`` the classifier's mean colour with pixel noise. No fill removes pixels without a trace: a
score under one fill says as much about the fill as about the map.
"""


def filled(images: Tensor, *, fill: FillName, mean_color: Tensor, seeds: Sequence[int]) -> Tensor:
    """Images in which every pixel has been removed.

    Args:
        images: float32 (B, C, H, W) in [0, 1]; left as they are.
        fill: What pixels become.
        mean_color: Colour that the classifier sees as zeros, (1, C, 1, 1) or (1, 1, 1, 1), on the images' device.
        seeds: One per image, so that noise does not depend on batch mates; read by ``noise`` alone.

    Returns:
        float32 (B, C, H, W) in [0, 1], on the images' device.

    Raises:
        InputError: If there is no such fill, or not one seed per image.
    """
    known = get_args(FillName)
    if fill not in known:
        raise InputError(f"unknown fill {fill!r}; {closest_match(fill, list(known))}")
    if fill == "mean":
        return mean_color_fill(images, mean_color)
    if fill == "image_mean":
        return image_mean_fill(images)
    if fill == "blur":
        return blur_fill(images).clamp_(0, 1)  # sums of weights are 1 but for rounding
    if len(seeds) != len(images):
        raise InputError(f"{len(seeds)} seeds for {len(images)} images; wanted one per image")
    each = [
        noise_fill(images[index : index + 1], mean_color, torch.Generator().manual_seed(seed))
        for index, seed in enumerate(seeds)
    ]
    return torch.cat(each)


def mean_color_fill(images: Tensor, mean_color: Tensor) -> Tensor:
    """The colour that the classifier sees as zeros."""
    return mean_color.expand_as(images)


def image_mean_fill(images: Tensor) -> Tensor:
    """Each image's own mean colour: nothing but the overall colour stays."""
    return images.mean(dim=(-2, -1), keepdim=True).expand_as(images)


def blur_fill(images: Tensor) -> Tensor:
    """The image averaged over an eighth of its side: colour stays, texture goes."""
    window = max(2, min(images.shape[-2:]) // 8)
    (vertical_mean, lengthen), (horizontal_mean, widen) = (
        _mean_and_back(side, window, images.device) for side in images.shape[-2:]
    )
    return along_both_sides(along_both_sides(images, vertical_mean, horizontal_mean), lengthen, widen)


@lru_cache(maxsize=64)
def _mean_and_back(side: int, window: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Matrices for the means of overlapping windows along a line, and for the line interpolated between them."""

    def average(lines: Tensor) -> Tensor:
        return avg_pool1d(lines, window, stride=max(1, window // 2), ceil_mode=True)

    def enlarge(lines: Tensor) -> Tensor:
        return interpolate(lines, size=side, mode="linear", align_corners=False)

    averages = line_matrix(average, side, device=device)
    return averages, line_matrix(enlarge, averages.shape[1], device=device)


def noise_fill(images: Tensor, mean_color: Tensor, generator: torch.Generator) -> Tensor:
    """Mean colour with pixel noise of standard deviation 0.1, in [0, 1]."""
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    return (mean_color + 0.1 * noise).clamp(0, 1)
