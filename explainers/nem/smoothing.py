"""The smoothing operator, which keeps masks from hiding patterns in single pixels."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from ...datasets import InputError

SmoothingName = Literal["none", "box", "gaussian", "random"]
"""Names of smoothing operators.

``gaussian`` and ``box`` are the same in training and at use, ``none`` leaves maps as they are. ``random`` draws the
weights of its window anew for every training step, as the published code does; at use, where that code goes on drawing,
it is the mean of what was drawn: the box.
"""


class Smoothing(nn.Module):
    """Weighted mean over a window, with replicated borders; deterministic at use."""

    kernel: Tensor

    def __init__(self, kind: SmoothingName, *, sigma: float) -> None:
        """Make the kernel.

        Args:
            kind: One of `SmoothingName`.
            sigma: Standard deviation of the Gaussian in map pixels, more than 0; every window reaches three of them to
                either side.

        Raises:
            InputError: If sigma is not above 0.
        """
        super().__init__()
        if not sigma > 0:
            raise InputError(f"the smoothing's standard deviation is {sigma} pixels; wanted more than 0")
        self.kind = kind
        self.generator = torch.Generator()
        radius = 0 if kind == "none" else max(1, round(3 * sigma))
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
        line = torch.exp(-0.5 * (offsets / sigma) ** 2) if kind == "gaussian" else torch.ones_like(offsets)
        self.register_buffer("kernel", line / line.sum(), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Smooth maps (B, H, W)."""
        radius = len(self.kernel) // 2
        if radius == 0:
            return maps
        padded = pad(maps[:, None], (radius, radius, radius, radius), mode="replicate")
        if self.kind == "random" and self.training:
            window = torch.rand(len(self.kernel), len(self.kernel), generator=self.generator).to(maps.device)
            return conv2d(padded, (window / window.sum())[None, None])[:, 0]
        across = conv2d(padded, self.kernel[None, None, :, None])
        return conv2d(across, self.kernel[None, None, None, :])[:, 0]
