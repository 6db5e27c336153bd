"""An image at increasing blur, and what is seen of it through a mask."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad


def blur_levels(images: Tensor, *, strongest: float, levels: int) -> Tensor:
    """Images from sharp to blurred.

    Args:
        images: float32 (B, C, H, W).
        strongest: Standard deviation of the strongest blur as a share of the longer side, > 0.
        levels: How many, at least 2; standard deviations are equally spaced from 0.

    Returns:
        float32 (B, levels, C, H, W).
    """
    widest = strongest * max(images.shape[-2:])
    blurred = [gaussian_blur(images, sigma=widest * level / (levels - 1)) for level in range(1, levels)]
    return torch.stack([images, *blurred], dim=1)


def seen_through(pyramid: Tensor, masks: Tensor) -> Tensor:
    """Sharp where the mask is 1, the more blurred the less it is.

    Args:
        pyramid: float32 (B, levels, C, H, W), sharp to blurred.
        masks: float32 (B, H, W) in [0, 1].

    Returns:
        float32 (B, C, H, W), linear between neighbouring levels, differentiable with respect to the masks.
    """
    n_levels = pyramid.shape[1]
    depth = (1 - masks) * (n_levels - 1)
    # The lower of two levels, so chosen that at a mask of 1, give or take rounding, the slope is that to the next one.
    lower = depth.detach().floor().clamp(0, n_levels - 2).to(torch.int64)
    index = lower[:, None, None].expand(-1, 1, *pyramid.shape[2:])
    sharper, softer = pyramid.gather(1, index)[:, 0], pyramid.gather(1, index + 1)[:, 0]
    return sharper + (depth - lower)[:, None] * (softer - sharper)


def gaussian_blur(images: Tensor, *, sigma: float) -> Tensor:
    """Gaussian blur of (B, C, H, W), in pixels; the border is repeated outwards."""
    radius = max(1, round(3 * sigma))
    places = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-(places**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    channels = images.shape[1]
    rows = kernel.reshape(1, 1, -1, 1).expand(channels, 1, -1, 1)
    padded = pad(images, (radius, radius, radius, radius), mode="replicate")
    return conv2d(conv2d(padded, rows, groups=channels), rows.transpose(2, 3), groups=channels)
