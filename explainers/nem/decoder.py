"""The decoder: from feature maps of the frozen classifier to one explanation mask per output."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from .folded import FoldedStage


class _Stage(nn.Module):
    """1 × 1 convolutions bring coarse and fine maps to one width, 3 × 3 convolutions merge them."""

    def __init__(self, coarse_channels: int, skip_channels: int, width: int, *, n_convolutions: int) -> None:
        super().__init__()
        self.from_coarse = nn.Conv2d(coarse_channels, width, 1, bias=False)
        self.from_skip = nn.Conv2d(skip_channels, width, 1, bias=False)
        merge = [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        for _ in range(n_convolutions):
            merge += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        self.merge = nn.Sequential(*merge)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        # Upsampling to the skip's own size, not by two, keeps odd sizes right. It commutes with the 1 × 1 convolution,
        # which is cheaper before it.
        enlarged = interpolate(self.from_coarse(coarse), size=skip.shape[-2:], mode="bilinear", align_corners=False)
        merged: Tensor = self.merge(self.from_skip(skip).add_(enlarged))
        return merged

    def folded(self) -> FoldedStage:
        """What the stage computes in evaluation mode, without norms."""
        norm, _, *rest = self.merge
        convolutions = cast(list[nn.Conv2d], rest[0::3])
        norms = cast(list[nn.BatchNorm2d], rest[1::3])
        return FoldedStage(
            self.from_coarse, self.from_skip, cast(nn.BatchNorm2d, norm), zip(convolutions, norms, strict=True)
        )


class MaskDecoder(nn.Module):
    """Light decoder with skip connections; its output has the resolution of the finest feature maps it reads.

    The last step is a scalar product of each place's channels with a vector that belongs to the target: a 1 × 1
    convolution of which only the channel that was asked for is computed. A thousand outputs cost a thousand such
    vectors, and no more memory per image than two.
    """

    def __init__(
        self, feature_channels: Sequence[int], n_outputs: int, *, widths: Sequence[int], finest_convolutions: int
    ) -> None:
        """Build the decoder.

        Args:
            feature_channels: Channels of the feature maps, fine to coarse, at least two.
            n_outputs: Number of explanation masks K.
            widths: Channels of the stages, coarse to fine; the last value serves all further stages.
            finest_convolutions: 3 × 3 convolutions of the last stage, whose maps are largest; the others have two.
        """
        super().__init__()
        channels, *skips = reversed(feature_channels)
        self.stages = nn.ModuleList()
        for index, skip_channels in enumerate(skips):
            width = widths[min(index, len(widths) - 1)]
            n_convolutions = finest_convolutions if index == len(skips) - 1 else 2
            self.stages.append(_Stage(channels, skip_channels, width, n_convolutions=n_convolutions))
            channels = width
        self.head = nn.Linear(channels, n_outputs)
        # Start with masks of about one half: neither deletion nor preservation has a vanishing gradient there.
        nn.init.zeros_(self.head.bias)

    def fold_norms(self) -> None:
        """Spare the norms, once and for all: for use in evaluation mode alone, with the last digits of other sums."""
        self.stages = nn.ModuleList(cast(_Stage, stage).folded() for stage in self.stages)

    def forward(self, features: Sequence[Tensor], targets: Tensor) -> Tensor:
        """Mask logits of the targets.

        Args:
            features: Feature maps, fine to coarse, each (B, Ci, Hi, Wi).
            targets: int64 (B,), in [0, K).

        Returns:
            float32 (B, H0, W0), the resolution of the finest maps.
        """
        coarse, *finer = reversed(list(features))
        for stage, skip in zip(self.stages, finer, strict=True):
            coarse = stage(coarse, skip)
        # Row by row: (B, 1, C) × (B, C, H·W).
        logits = torch.bmm(self.head.weight[targets][:, None], coarse.flatten(2)).reshape(-1, *coarse.shape[-2:])
        return logits + self.head.bias[targets][:, None, None]
