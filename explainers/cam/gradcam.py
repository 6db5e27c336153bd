"""GradCAM, by Captum."""

from captum.attr import LayerGradCam
from torch import Tensor
from torch.nn.functional import interpolate

from ...datasets import InputError
from ..classifiers import Classifier
from ..explainer import Explainer


class GradCamExplainer(Explainer):
    """Feature maps weighted by their mean gradient, positive part, bilinearly enlarged."""

    family = "cam"
    citation = "Selvaraju et al., ICCV 2017"
    passes = "1 forward, 1 backward"
    library = "captum"

    def __init__(self, classifier: Classifier, *, layer: str | None = None, seed: int = 0) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            layer: Name of the layer; None for the classifier's coarsest feature maps, as in the paper.
            seed: As for every explainer.
        """
        super().__init__(classifier, seed=seed)
        try:
            self.layer = classifier.cam_layer if layer is None else classifier.module.get_submodule(layer)
        except AttributeError as error:
            raise InputError(
                f"the classifier has no layer {layer!r}; its feature layers are {', '.join(classifier.feature_layers)}"
            ) from error

    @classmethod
    def unsupported(cls, classifier: Classifier) -> str | None:
        """Networks without feature maps have no class activation maps."""
        try:
            _ = classifier.feature_layers
        except InputError as error:
            return str(error)
        return None

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        maps = LayerGradCam(self.classifier, self.layer).attribute(
            images.requires_grad_(), target=targets, relu_attributions=True
        )
        enlarged = interpolate(maps, size=images.shape[-2:], mode="bilinear", align_corners=False)
        return enlarged[:, 0].float()
