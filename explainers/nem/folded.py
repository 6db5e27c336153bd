"""A decoder's stage at use: what it computes in evaluation mode, up to last digits, in fewer and larger steps."""

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate
from torch.nn.utils.fusion import fuse_conv_bn_eval


class FoldedStage(nn.Module):
    """A stage whose norms are folded into its convolutions, of which those of 1 × 1 are matrix products.

    On a GPU that of the coarse maps stays a convolution.
    """

    def __init__(
        self,
        from_coarse: nn.Conv2d,
        from_skip: nn.Conv2d,
        norm: nn.BatchNorm2d,
        merge: Iterable[tuple[nn.Conv2d, nn.BatchNorm2d]],
    ) -> None:
        """Fold.

        Args:
            from_coarse: 1 × 1 convolution of the coarse maps, without a bias.
            from_skip: The same of the fine ones.
            norm: Of their sum.
            merge: 3 × 3 convolutions with their norms.
        """
        super().__init__()
        coarse, skip = (fuse_conv_bn_eval(convolution, norm) for convolution in (from_coarse, from_skip))
        # Kept as matrices: who asks the module for channels last gets it of the 3 × 3 convolutions alone. The
        # classifier's maps, which are large, are multiplied in the layout that they have.
        self.from_coarse = nn.Parameter(coarse.weight[:, :, 0, 0])
        self.from_skip = nn.Parameter(skip.weight[:, :, 0, 0].T.contiguous())
        # Both got the shift of the norm; it serves once.
        self.shift = cast(nn.Parameter, coarse.bias)
        self.merge = nn.ModuleList(fuse_conv_bn_eval(convolution, its_norm) for convolution, its_norm in merge)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """Merged maps of the size of ``skip``, float32, also inside autocast."""
        with torch.autocast(skip.device.type, enabled=False):
            enlarged = interpolate(
                self._shrunk(coarse.float()), size=skip.shape[-2:], mode="bilinear", align_corners=False
            )
            merged = _places(enlarged).baddbmm_(_places(skip.float()), self.from_skip.expand(len(skip), -1, -1))
            maps = _maps(merged.relu_(), skip.shape[-2:])
            for convolution in self.merge:
                maps = _rectified(cast(nn.Conv2d, convolution), maps)
            return maps

    def _shrunk(self, coarse: Tensor) -> Tensor:
        if coarse.is_cuda:
            # The coarsest maps have few places and many channels: a product for each image leaves most of a GPU idle.
            maps = conv2d(coarse, self.from_coarse[:, :, None, None], self.shift)
            return maps.contiguous(memory_format=torch.channels_last)
        places = torch.baddbmm(self.shift, _places(coarse), self.from_coarse.T.expand(len(coarse), -1, -1))
        return _maps(places, coarse.shape[-2:])


def _rectified(convolution: nn.Conv2d, maps: Tensor) -> Tensor:
    """The positive part of what a convolution gives; NVIDIA's cuDNN computes both, and adds the bias, in one step."""
    if _has_one_step(maps):
        return torch.cudnn_convolution_relu(
            maps,
            convolution.weight,
            convolution.bias,
            stride=convolution.stride,
            padding=cast(tuple[int, ...], convolution.padding),
            dilation=convolution.dilation,
            groups=convolution.groups,
        )
    result: Tensor = convolution(maps)
    return result.relu_()


def _has_one_step(maps: Tensor) -> bool:
    # cuDNN's one step does not heed torch's switches for algorithms that give the same bits every time.
    wants_same_bits = torch.backends.cudnn.deterministic or torch.are_deterministic_algorithms_enabled()
    if wants_same_bits or torch.version.hip is not None:
        return False
    return bool(torch.backends.cudnn.is_acceptable(maps))  # type: ignore[no-untyped-call]


def _places(maps: Tensor) -> Tensor:
    """Maps (B, C, H, W) as rows (B, H·W, C), one for each place."""
    return maps.flatten(2).transpose(1, 2)


def _maps(places: Tensor, size: Sequence[int]) -> Tensor:
    """The inverse of `_places`."""
    return places.transpose(1, 2).reshape(len(places), -1, *size)
