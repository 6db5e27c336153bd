"""What removed pixels become while a decoder is trained."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate


def mean_color_fill(images: Tensor, mean_color: Tensor) -> Tensor:
    """The colour that the classifier sees as zeros."""
    return mean_color.expand_as(images)


def blur_fill(images: Tensor) -> Tensor:
    """The image averaged over an eighth of its side: colour stays, texture goes."""
    window = max(2, min(images.shape[-2:]) // 8)
    small = avg_pool2d(images, window, stride=max(1, window // 2), ceil_mode=True)
    return interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)


def noise_fill(images: Tensor, mean_color: Tensor, generator: torch.Generator) -> Tensor:
    """Mean colour with pixel noise of standard deviation 0.1, in [0, 1]."""
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    return (mean_color + 0.1 * noise).clamp(0, 1)
