"""Everything between feature maps and an explanation: decoder, bound, smoothing, detail, temperature."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ..classifiers import Classifier
from .decoder import MaskDecoder
from .detail import PixelDetail
from .replay import side_by_side
from .smoothing import Smoothing, SmoothingName

# The decoder's logits lie in (-4, 4). Without a bound, training drives them so high that the sigmoid of the best pixels
# is exactly 1 in float32: their order, which decides deletion, is lost.
_BOUND = 4.0
# How sharply the detail of single pixels is switched on where the decoder's logit rises above 0: a soft switch lets it
# rank what surrounds the evidence as well, a sharp one leaves the order there to the decoder.
_GATE = 1.5


class MaskNetwork(nn.Module):
    """Explanation masks from a classifier's feature maps.

    Attributes:
        layers: Names of the classifier's layers that are read, fine to coarse.
        temperature: Scalar factor on the logits of masks; it rises during training.
        contrast: Scalar factor on the logits of the map at use. A tensor, like `level`, since recordings read what a
            tensor holds, and of a plain number what it was.
        level: Scalar logit at which the map at use begins.
    """

    temperature: Tensor
    contrast: Tensor
    level: Tensor

    def __init__(
        self,
        layers: Sequence[str],
        feature_channels: Sequence[int],
        n_outputs: int,
        *,
        widths: Sequence[int],
        finest_convolutions: int,
        smoothing: SmoothingName,
        smoothing_sigma: float,
        contrast: float,
        level: float,
        detail_around: Tensor | None,
    ) -> None:
        """Build the network.

        Args:
            layers: Names of the classifier's layers, fine to coarse.
            feature_channels: Channels of their outputs.
            n_outputs: Number of masks K.
            widths: Channels of the decoder's stages.
            finest_convolutions: As in `MaskDecoder`.
            smoothing: Name of the smoothing operator.
            smoothing_sigma: Its standard deviation in pixels of the finest feature maps.
            contrast: Of the map at use, more than 0.
            level: Of the map at use; 0 is where the area term of the training ends the mask.
            detail_around: Mean colour for `PixelDetail`, or None to go without.
        """
        super().__init__()
        self.layers = tuple(layers)
        self.decoder = MaskDecoder(feature_channels, n_outputs, widths=widths, finest_convolutions=finest_convolutions)
        self.smooth = Smoothing(smoothing, sigma=smoothing_sigma)
        self.register_buffer("temperature", torch.ones(()), persistent=False)
        self.register_buffer("contrast", torch.tensor(float(contrast)), persistent=False)
        self.register_buffer("level", torch.tensor(float(level)), persistent=False)
        self.detail = None if detail_around is None else PixelDetail(n_outputs, mean_color=detail_around)

    def logits(self, features: Sequence[Tensor], targets: Tensor, *, images: Tensor) -> Tensor:
        """Evidence for the targets: what all maps and masks are made of, and what ranks the pixels.

        Args:
            features: Outputs of `layers`.
            targets: int64 (B,).
            images: float32 (B, C, H, W) in [0, 1].

        Returns:
            float32 (B, H, W), in (-4, 4) but for what `PixelDetail` adds.
        """
        if self.detail is None:
            return self._decoded(features, targets, size=images.shape[-2:])
        enlarged, detail = side_by_side(
            lambda: self._decoded(features, targets, size=images.shape[-2:]), partial(self.detail, images, targets)
        )
        # Where there is no evidence around, a pixel cannot be any: else the order of the background is that of an edge
        # detector, which no classifier has a part in, and deletion in that order draws patterns.
        return torch.addcmul(enlarged, torch.sigmoid(_GATE * enlarged), detail)

    def _decoded(self, features: Sequence[Tensor], targets: Tensor, *, size: Sequence[int]) -> Tensor:
        # Smoothing the logits, not the mask, leaves the background of a mask at zero.
        bounded = _BOUND * torch.tanh(self.decoder(features, targets) / _BOUND)
        enlarged: Tensor = self.smooth(bounded, size=size)
        return enlarged

    def masks(self, logits: Tensor) -> Tensor:
        """Soft masks in [0, 1], 1 is evidence: what blends images in training."""
        return torch.sigmoid(self.temperature * logits)

    def attributions(self, logits: Tensor) -> Tensor:
        """The map at use: -ln(1 - mask), in nats, never negative, of a mask of the given contrast.

        Masks of independent evidence combine by multiplying what they let through, 1 - mask; in its negative logarithm
        they add. It ranks pixels as the logits do, also where the mask itself is 1 to all digits, and whatever contrast
        and level.
        """
        return softplus(self.contrast * (logits - self.level))


def decoder_inputs(classifier: Classifier, *, finest_stride: int) -> tuple[list[str], list[int], float]:
    """Layers of a classifier that a decoder should read.

    Args:
        classifier: The frozen classifier.
        finest_stride: Image pixels per mask pixel, at least.

    Returns:
        Names of the layers, fine to coarse; the channels of their outputs; image pixels per pixel of the finest.
    """
    side = classifier.image_size
    probe = torch.zeros(1, classifier.channels, side, side, device=classifier.device)
    with torch.no_grad():
        features = classifier.features(probe)
    chosen = [
        (name, maps)
        for name, maps in zip(classifier.feature_layers, features, strict=True)
        if min(maps.shape[-2:]) * finest_stride <= side + finest_stride - 1
    ]
    stride = side / chosen[0][1].shape[-1] if chosen else 1.0
    return [name for name, _ in chosen], [maps.shape[1] for _, maps in chosen], stride
