"""The order in which pixels are removed: one rule for every metric that ranks pixels."""

import torch
from torch import Tensor

from ...datasets import Case
from .answers import scoring_generator


def ranked_pixels(values: Tensor, *, case: Case) -> Tensor:
    """Order pixels from the most to the least relevant.

    Tied pixels come in an order drawn at random from the content of the case, the same for every explainer: ties are
    broken reproducibly, and where a pixel stands in memory gives it no place in the ranking. A uniform map is therefore
    a random ranking, the one that defines chance.

    Args:
        values: float (H, W), on any device.
        case: Decides the order of ties.

    Returns:
        int64 (H·W,), flat indices of pixels, on the device of ``values``.
    """
    flat = values.flatten()
    shuffled = torch.randperm(len(flat), generator=scoring_generator(case, purpose="ties")).to(flat.device)
    return shuffled[flat[shuffled].argsort(descending=True, stable=True)]


def places_of(order: Tensor) -> Tensor:
    """Place of each pixel in the ranking, 0 for the most relevant: int64 (H·W,)."""
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order), device=order.device)
    return places


def level_counts(n_pixels: int, *, steps: int) -> Tensor:
    """Pixels above each of ``steps + 1`` evenly spaced levels, from 0 to all: int64 (steps + 1,)."""
    return torch.linspace(0, n_pixels, steps + 1, dtype=torch.float64).round().long()
