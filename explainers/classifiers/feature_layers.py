"""Find the layers of a network that give feature maps worth decoding."""

from typing import Any

import torch
from torch import Tensor, nn

from ...datasets import InputError


def find_feature_layers(module: nn.Module, probe: Tensor) -> tuple[str, ...]:
    """Last layer to finish at each spatial resolution.

    A network passes through its resolutions from fine to coarse, and the last layer at each is the end of a stage (or
    what the next stage computes before its stride): no table of stages per architecture is needed. What has not the
    proportions of the image, or is finer than maps before it, is no map of a stage: tokens and their attention.

    Args:
        module: The network.
        probe: One normalized image (1, C, H, W).

    Returns:
        Names of sub-modules, fine to coarse.

    Raises:
        InputError: If there are not maps of two resolutions, at least 2 × 2 (a network of tokens, say).
    """
    last: dict[int, str] = {}
    image_height, image_width = probe.shape[-2:]
    names = {sub_module: name for name, sub_module in module.named_modules() if name}

    def record(sub_module: nn.Module, _inputs: Any, output: Any) -> None:
        if not isinstance(output, torch.Tensor) or output.ndim != 4 or min(output.shape[-2:]) < 2:
            return
        height, width = output.shape[-2:]
        if height * image_width == width * image_height and height <= min(last, default=height):
            last[height] = names[sub_module]

    handles = [
        sub_module.register_forward_hook(record)
        for sub_module in names
        if not isinstance(sub_module, nn.Identity | nn.Dropout | nn.Softmax)
    ]
    try:
        module(probe)
    finally:
        for handle in handles:
            handle.remove()
    if len(last) < 2:
        raise InputError(
            f"{type(module).__name__} has feature maps (B, C, H, W) of {len(last)} resolution(s); "
            "wanted 2 or more, each of at least 2 × 2 pixels; name feature_layers yourself"
        )
    return tuple(last[size] for size in sorted(last, reverse=True))
