"""Explainers that attribute to input channels, and how those become one value per pixel."""

from abc import abstractmethod
from typing import ClassVar, Literal

from torch import Tensor

from .classifiers import Classifier
from .explainer import Explainer

ChannelReduction = Literal["sum", "sum_abs", "max_abs"]


def reduce_channels(attribution: Tensor, how: ChannelReduction) -> Tensor:
    """Turn per-channel attributions into per-pixel ones.

    Args:
        attribution: (B, C, H, W).
        how: ``sum`` keeps the sign; ``sum_abs`` and ``max_abs`` are magnitudes.

    Returns:
        (B, H, W).
    """
    if how == "sum":
        return attribution.sum(dim=1)
    if how == "sum_abs":
        return attribution.abs().sum(dim=1)
    return attribution.abs().amax(dim=1)


class ChannelExplainer(Explainer):
    """Base of the explainers that attribute to input channels."""

    default_reduction: ClassVar[ChannelReduction] = "sum"

    def __init__(
        self, classifier: Classifier, *, channel_reduction: ChannelReduction | None = None, seed: int = 0
    ) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            channel_reduction: ``sum``, ``sum_abs`` or ``max_abs``; None for the method's own.
            seed: As for every explainer.
        """
        super().__init__(classifier, seed=seed)
        self.channel_reduction: ChannelReduction = channel_reduction or self.default_reduction

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        attribution = self._attribute_channels(images, targets)
        return reduce_channels(attribution, self.channel_reduction).float()

    @abstractmethod
    def _attribute_channels(self, images: Tensor, targets: Tensor) -> Tensor:
        """Attributions (B, C, H, W)."""
