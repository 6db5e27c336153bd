"""Find the layers of a network that give feature maps worth decoding."""

from typing import Any

import torch
from torch import Tensor, nn

from ...datasets import InputError


def find_feature_layers(module: nn.Module, probe: Tensor) -> tuple[str, ...]:
    """Last layer to finish at each spatial resolution.

    A network passes through its resolutions from fine to coarse, and the last layer at each is the end of a stage:
    the same maps that a hand-written table of stages per architecture would name, without the table.

    Args:
        module: The network.
        probe: One normalized image (1, C, H, W).

    Returns:
        Names of sub-modules, fine to coarse.

    Raises:
        InputError: If no layer gives maps of at least 2 × 2 (a network of tokens, say).
    """
    last: dict[tuple[int, int], str] = {}
    names = {sub_module: name for name, sub_module in module.named_modules() if name}

    def record(sub_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == 4 and min(output.shape[-2:]) >= 2:
            height, width = output.shape[-2:]
            last[(height, width)] = names[sub_module]

    handles = [sub_module.register_forward_hook(record) for sub_module in names]
    try:
        module(probe)
    finally:
        for handle in handles:
            handle.remove()
    if not last:
        raise InputError(
            f"{type(module).__name__} has no layer whose output is a feature map (B, C, H, W) of at least 2 × 2; "
            "name feature_layers yourself"
        )
    return tuple(last[size] for size in sorted(last, reverse=True))
