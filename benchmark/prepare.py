"""From a raw attribution to what metrics score: one declared chain per run, per sample, in float."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ..datasets import InputError, closest_match

PreparationChain = Literal["positive", "absolute"]
"""What becomes of the sign of an attribution.

``positive`` keeps what speaks for the target (max(a, 0)); ``absolute`` keeps what matters either way (abs(a)).
"""


@dataclass(frozen=True, kw_only=True)
class PreparedAttribution:
    """Attributions that metrics can compare.

    Attributes:
        maps: float32 (B, H, W) in [0, 1] on the CPU, the maximum of every map 1; all 0 where degenerate.
        degenerate: bool (B,) on the CPU, maps that say nothing: nothing is left after the chain, or the raw
            attribution is not finite somewhere.
    """

    maps: Tensor
    degenerate: Tensor


def prepare(attribution: Tensor, *, chain: PreparationChain) -> PreparedAttribution:
    """Make raw attributions comparable: non-negative, with maximum 1, each map by itself.

    Scores depend on the chain, so it is part of every run. Nothing else happens here: no scaling over the batch (a
    score would depend on batch mates), no subtraction of the minimum and no cut to 8 bits (both move scores by tens
    of percent).

    Args:
        attribution: Raw float32 (B, H, W), any sign, any scale, on any device; left as it is.
        chain: What becomes of the sign.

    Returns:
        Prepared maps on the CPU, where metrics score.

    Raises:
        InputError: If the attribution has another shape or dtype, or there is no such chain.
    """
    if attribution.ndim != 3 or attribution.dtype != torch.float32:
        raise InputError(
            f"attribution is {attribution.dtype} {tuple(attribution.shape)}; wanted float32 (B, H, W), "
            "one map per case with channels already reduced"
        )
    known = get_args(PreparationChain)
    if chain not in known:
        raise InputError(f"unknown preparation chain {chain!r}; {closest_match(chain, list(known))}")
    raw = attribution.detach().contiguous()
    maps = raw.clamp(min=0) if chain == "positive" else raw.abs()
    # Extremes of the raw map: the positive part would turn -inf into an innocent 0. Extremes are NaN where a pixel is.
    finite = raw.amin(dim=(1, 2)).isfinite() & raw.amax(dim=(1, 2)).isfinite()
    maximum = maps.amax(dim=(1, 2))
    degenerate = ~finite | (maximum == 0)
    # Division, not multiplication by 1 / maximum, which overflows where the maximum is denormal.
    maps /= torch.where(degenerate, 1.0, maximum)[:, None, None]
    maps[degenerate] = 0.0
    return PreparedAttribution(maps=maps.cpu(), degenerate=degenerate.cpu())
