"""Decoder, temperature and smoothing: everything between feature maps and a mask."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..classifiers import Classifier
from .decoder import MaskDecoder, select_target
from .smoothing import GaussianSmoothing


class MaskNetwork(nn.Module):
    """Explanation masks from a classifier's feature maps.

    Attributes:
        layers: Names of the classifier's layers that are read, fine to coarse.
        temperature: Scalar factor on the mask logits.
    """

    temperature: Tensor

    def __init__(
        self,
        layers: Sequence[str],
        feature_channels: Sequence[int],
        n_outputs: int,
        *,
        widths: Sequence[int],
        smoothing_sigma: float,
    ) -> None:
        """Build the network.

        Args:
            layers: Names of the classifier's layers, fine to coarse.
            feature_channels: Channels of their outputs.
            n_outputs: Number of masks K.
            widths: Channels of the decoder's stages.
            smoothing_sigma: Of the Gaussian, in pixels of the image that it is trained at.
        """
        super().__init__()
        self.layers = tuple(layers)
        self.decoder = MaskDecoder(feature_channels, n_outputs, widths=widths)
        self.smooth = GaussianSmoothing(smoothing_sigma)
        self.register_buffer("temperature", torch.ones(()))
        # Start with masks of about one half: neither deletion nor preservation has a vanishing gradient there.
        nn.init.zeros_(self.decoder.head.bias)  # type: ignore[arg-type]

    def masks(self, features: Sequence[Tensor], targets: Tensor, *, size: Sequence[int]) -> Tensor:
        """Soft masks of the targets.

        Args:
            features: Outputs of `layers`.
            targets: int64 (B,).
            size: Height and width of the image.

        Returns:
            float32 (B, H, W) in [0, 1]; 1 is evidence.
        """
        logits = select_target(self.decoder(features), targets)
        enlarged = interpolate(logits[:, None], size=tuple(size), mode="bilinear", align_corners=False)[:, 0]
        smoothed: Tensor = self.smooth(torch.sigmoid(self.temperature * enlarged))
        return smoothed


def decoder_inputs(classifier: Classifier, *, finest_stride: int) -> tuple[list[str], list[int]]:
    """Layers of a classifier that a decoder should read.

    Args:
        classifier: The frozen classifier.
        finest_stride: Image pixels per mask pixel, at least.

    Returns:
        Names of the layers, fine to coarse, and the channels of their outputs.
    """
    side = classifier.image_size
    probe = torch.zeros(1, classifier.channels, side, side, device=classifier.device)
    with torch.no_grad():
        features = classifier.features(probe)
    chosen = [
        (name, maps.shape[1])
        for name, maps in zip(classifier.feature_layers, features, strict=True)
        if min(maps.shape[-2:]) * finest_stride <= side + finest_stride - 1
    ]
    return [name for name, _ in chosen], [channels for _, channels in chosen]
