"""What the catalog of architectures gives."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, kw_only=True)
class Network:
    """A module and the normalization of the images it wants.

    Attributes:
        module: Maps normalized images (B, C, H, W) to raw outputs (B, K).
        mean: Per channel, or one value; subtracted from images in [0, 1].
        std: Per channel, or one value; divides after subtraction.
        feature_layers: Names of layers that give feature maps, fine to coarse; None to find them.
    """

    module: nn.Module
    mean: Sequence[float]
    std: Sequence[float]
    feature_layers: tuple[str, ...] | None = None
