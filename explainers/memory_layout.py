"""The layout of images in memory that convolutions want."""

import torch
from torch import Tensor


def to_device(images: Tensor, device: torch.device | str) -> Tensor:
    """Images where they are needed, in the layout in which convolutions learn fastest.

    Channels last takes a third off the time on CPUs, and on GPUs with tensor cores. With one channel there is nothing
    to gain, and the gradient of a first layer of few filters writes beyond its memory (seen with torch 2.15 on a CPU:
    4 and 8 filters, crashes within a few steps).

    Args:
        images: float32 (B, C, H, W).
        device: Where they are needed.
    """
    layout = torch.channels_last if images.shape[1] > 1 else torch.contiguous_format
    return images.to(device, memory_format=layout)
