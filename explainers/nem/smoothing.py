"""The smoothing operator between mask logits and the mask that touches the image."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from ...datasets import InputError


class GaussianSmoothing(nn.Module):
    """A fixed Gaussian blur with replicated borders.

    Without it a mask can hide adversarial patterns in single pixels. It is the same in training and at use, so maps
    do not differ from run to run.
    """

    kernel: Tensor

    def __init__(self, sigma: float) -> None:
        """Make the kernel.

        Args:
            sigma: Standard deviation in mask pixels, > 0; the kernel reaches three of them.

        Raises:
            InputError: If sigma is not above 0.
        """
        super().__init__()
        if not sigma > 0:
            raise InputError(f"the smoothing's standard deviation is {sigma} pixels; wanted more than 0")
        radius = max(1, round(3 * sigma))
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
        self.register_buffer("kernel", kernel / kernel.sum(), persistent=False)

    def forward(self, masks: Tensor) -> Tensor:
        """Blur maps (B, H, W), separably."""
        radius = len(self.kernel) // 2
        padded = pad(masks[:, None], (radius, radius, radius, radius), mode="replicate")
        blurred = conv2d(conv2d(padded, self.kernel[None, None, :, None]), self.kernel[None, None, None, :])
        return blurred[:, 0]
