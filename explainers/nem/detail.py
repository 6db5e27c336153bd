"""What the decoder's maps are too coarse to show: how much there is to remove at each pixel."""

from math import log

import torch
from torch import Tensor, nn

from ..fills import blur_fill

# Distances in brightness, which lies in [0, 1]. The floor decides what a pixel without any loses; with a lower one,
# pixels of a finding that look like their surroundings fall behind the background. Where distance and floor add up to
# the usual, a pixel neither gains nor loses.
_FLOOR, _USUAL = 0.05, 0.1
# At the learning rate of convolutions two plain weights would not get far enough within a fit.
_GAIN = 16.0


class PixelDetail(nn.Module):
    """Adds to each pixel's logit what its distances from mean colour and from the blurred image are worth, per target.

    Where removal leaves a pixel as it was, the pixel says nothing, whatever its surroundings do. The decoder's maps
    have a half or a quarter of the image's resolution and cannot tell; two numbers per pixel, and a weight for each per
    target, can.
    """

    mean_brightness: Tensor

    def __init__(self, n_outputs: int, *, mean_color: Tensor) -> None:
        """Start without any effect.

        Args:
            n_outputs: Number of masks K.
            mean_color: Colour that the classifier sees as zeros, (1, C, 1, 1) or (1, 1, 1, 1).
        """
        super().__init__()
        self.register_buffer("mean_brightness", mean_color.mean().clone(), persistent=False)
        self.weight = nn.Parameter(torch.zeros(n_outputs, 2))

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Logits to add, float32 (B, H, W).

        Args:
            images: float32 (B, C, H, W) in [0, 1].
            targets: int64 (B,), in [0, K).
        """
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            # As a product, the mean of channels takes half the time.
            shares = images.new_full((1, images.shape[1]), 1 / images.shape[1])
            brightness = (shares @ images.flatten(2)).reshape(-1, 1, *images.shape[-2:])
            # In place: at full resolution every copy counts.
            distances = brightness.new_empty(len(images), 2, *images.shape[-2:])
            torch.sub(brightness, self.mean_brightness, out=distances[:, :1])
            torch.sub(brightness, blur_fill(brightness), out=distances[:, 1:])
            logs = distances.abs_().add_(_FLOOR).log_().flatten(2)
        weights = _GAIN * self.weight[targets]
        usual = -log(_USUAL) * weights.sum(dim=1)
        return torch.baddbmm(usual[:, None, None], weights[:, None], logs).reshape(-1, *images.shape[-2:])
