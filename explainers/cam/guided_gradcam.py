"""Guided GradCAM."""

from torch import Tensor

from ..channels import ChannelReduction, reduce_channels
from ..classifiers import Classifier
from ..gradient.guided import GuidedBackpropExplainer, guided_gradient
from .explainers import GradCamExplainer


class GuidedGradCamExplainer(GradCamExplainer):
    """The guided gradient, wherever GradCAM says that it matters.

    References:
        Selvaraju et al., ICCV 2017, section 3.2.
    """

    citation = "Selvaraju et al., ICCV 2017; Springenberg et al., ICLR workshop 2015"
    passes = "2 forward, 1 backward, 1 backward to the layer"

    def __init__(
        self,
        classifier: Classifier,
        *,
        layer: str | None = None,
        channel_reduction: ChannelReduction = "max_abs",
        seed: int = 0,
    ) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            layer: As for every class activation map.
            channel_reduction: As for every explainer that attributes to channels.
            seed: As for every explainer.
        """
        super().__init__(classifier, layer=layer, seed=seed)
        self.channel_reduction: ChannelReduction = channel_reduction

    @classmethod
    def unsupported(cls, classifier: Classifier) -> str | None:
        """It needs feature maps and ReLUs."""
        return super().unsupported(classifier) or GuidedBackpropExplainer.unsupported(classifier)

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        gradient, _ = guided_gradient(self.classifier, images, targets)
        return reduce_channels(gradient, self.channel_reduction).float() * super()._attribute(images, targets)
