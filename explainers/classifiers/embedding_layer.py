"""Find where a network's embedding enters its last linear layer."""

from typing import Any

import torch
from torch import Tensor, nn


def find_embedding_layer(module: nn.Module, probe: Tensor) -> str | None:
    """Last linear layer to run whose output has the shape of the network's.

    A 1 × 1 convolution at the end counts as well: some networks have it for a head.

    Args:
        module: The network.
        probe: Normalized images (B, C, H, W).

    Returns:
        Name of the layer, or None if the network has none: an encoder, whose output is the embedding.
    """
    found: list[tuple[str, int]] = []
    names: dict[nn.Module, str] = {
        sub_module: name for name, sub_module in module.named_modules() if isinstance(sub_module, nn.Linear | nn.Conv2d)
    }

    def record(sub_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        found.append((names[sub_module], output.numel()))

    handles = [sub_module.register_forward_hook(record) for sub_module in names]
    try:
        with torch.no_grad():
            answer = module(probe)
    finally:
        for handle in handles:
            handle.remove()
    heads = [name for name, size in found if size == answer.numel()]
    return heads[-1] if heads else None


def pooled(activations: Tensor) -> Tensor:
    """One vector per image: (B, D) as it is, tokens (B, N, D) and maps (B, D, H, W) as the mean over places."""
    if activations.ndim == 3:
        return activations.mean(dim=1)
    return activations.flatten(2).mean(dim=2) if activations.ndim == 4 else activations
