"""The decoder: from feature maps of the frozen classifier to one explanation mask per output."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate


class _Stage(nn.Module):
    """1 × 1 convolutions bring coarse and fine maps to one width, two 3 × 3 convolutions merge them."""

    def __init__(self, coarse_channels: int, skip_channels: int, width: int) -> None:
        super().__init__()
        self.from_coarse = nn.Conv2d(coarse_channels, width, 1, bias=False)
        self.from_skip = nn.Conv2d(skip_channels, width, 1, bias=False)
        self.merge = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        # Upsampling to the skip's own size, not by two, keeps odd sizes right. It commutes with the 1 × 1 convolution,
        # which is cheaper before it.
        enlarged = interpolate(self.from_coarse(coarse), size=skip.shape[-2:], mode="bilinear", align_corners=False)
        merged: Tensor = self.merge(enlarged + self.from_skip(skip))
        return merged


class MaskDecoder(nn.Module):
    """Light decoder with skip connections; its output has the resolution of the finest feature maps it reads."""

    def __init__(self, feature_channels: Sequence[int], n_outputs: int, *, widths: Sequence[int]) -> None:
        """Build the decoder.

        Args:
            feature_channels: Channels of the feature maps, fine to coarse, at least two.
            n_outputs: Number of explanation masks K.
            widths: Channels of the stages, coarse to fine; the last value serves all further stages.
        """
        super().__init__()
        coarse_to_fine = list(reversed(feature_channels))
        self.stages = nn.ModuleList()
        channels = coarse_to_fine[0]
        for index, skip_channels in enumerate(coarse_to_fine[1:]):
            width = widths[min(index, len(widths) - 1)]
            self.stages.append(_Stage(channels, skip_channels, width))
            channels = width
        self.head = nn.Conv2d(channels, n_outputs, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Mask logits.

        Args:
            features: Feature maps, fine to coarse, each (B, Ci, Hi, Wi).

        Returns:
            float32 (B, K, H0, W0), the resolution of the finest maps.
        """
        coarse, *finer = reversed(list(features))
        for stage, skip in zip(self.stages, finer, strict=True):
            coarse = stage(coarse, skip)
        logits: Tensor = self.head(coarse)
        return logits


def select_target(masks: Tensor, targets: Tensor) -> Tensor:
    """Each row's own target channel.

    Args:
        masks: (B, K, H, W).
        targets: int64 (B,).

    Returns:
        (B, H, W): one channel per row. (Indexing ``masks[:, targets]`` would pair every row with every target.)
    """
    return masks[torch.arange(len(targets), device=masks.device), targets]
