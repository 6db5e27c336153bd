"""Class activation maps on the feature maps of the classifier, tokens included."""

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ...datasets import InputError
from ..checks import positive
from ..classifiers import Classifier, capture_outputs
from ..explainer import Explainer
from ..pass_size import PassSize
from . import weights


class CamExplainer(Explainer):
    """Base: the positive part of a weighted sum of feature maps, bilinearly enlarged."""

    family = "cam"

    def __init__(self, classifier: Classifier, *, layer: str | None = None, seed: int = 0) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            layer: Name of the layer; None for the classifier's coarsest (of tokens: deepest) feature maps.
            seed: As for every explainer.
        """
        super().__init__(classifier, seed=seed)
        self.layer = classifier.feature_layers[-1] if layer is None else layer
        if self.layer not in dict(classifier.module.named_modules()):
            raise InputError(
                f"the classifier has no layer {layer!r}; its feature layers are {', '.join(classifier.feature_layers)}"
            )

    @classmethod
    def unsupported(cls, classifier: Classifier) -> str | None:
        """Networks without feature maps have no class activation maps."""
        try:
            _ = classifier.feature_layers
        except InputError as error:
            return str(error)
        return None

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        return enlarged_positive_part(self._weighted(images, targets), images)

    @abstractmethod
    def _weighted(self, images: Tensor, targets: Tensor) -> Tensor:
        """Weighted sum (B, h, w) of feature maps (B, C, h, w)."""


class GradientCamExplainer(CamExplainer):
    """Base of those that weigh by gradients of the target's logit."""

    passes = "1 forward, 1 backward to the layer"

    @abstractmethod
    def _cam(self, activations: Tensor, gradients: Tensor) -> Tensor:
        """Weighted sum (B, h, w) of activations (B, C, h, w)."""

    def _weighted(self, images: Tensor, targets: Tensor) -> Tensor:
        captured: dict[str, Tensor] = {}
        with capture_outputs(self.classifier.module, [self.layer], into=captured):
            logits = self.classifier(images.requires_grad_())
        output = captured[self.layer]
        (gradient,) = torch.autograd.grad(logits.gather(1, targets[:, None]).sum(), output)
        layout, size = self.classifier.map_layout(self.layer), (images.shape[-2], images.shape[-1])
        return self._cam(layout.maps(output.detach(), image_size=size), layout.maps(gradient, image_size=size))


class GradCamExplainer(GradientCamExplainer):
    """Feature maps weighted by their mean gradient."""

    citation = "Selvaraju et al., ICCV 2017"

    def _cam(self, activations: Tensor, gradients: Tensor) -> Tensor:
        return weights.grad_cam(activations, gradients)


class GradCamPlusPlusExplainer(GradientCamExplainer):
    """Feature maps weighted by their positive gradients, places by how much they share in the score."""

    citation = "Chattopadhay et al., WACV 2018"

    def _cam(self, activations: Tensor, gradients: Tensor) -> Tensor:
        return weights.grad_cam_plus_plus(activations, gradients)


class HiResCamExplainer(GradientCamExplainer):
    """Feature maps times their gradient, place by place."""

    citation = "Draelos, Carin, arXiv:2011.08891, 2020"

    def _cam(self, activations: Tensor, gradients: Tensor) -> Tensor:
        return weights.hi_res_cam(activations, gradients)


class LayerCamExplainer(GradientCamExplainer):
    """Feature maps times the positive part of their gradient, place by place."""

    citation = "Jiang et al., TIP 2021"

    def _cam(self, activations: Tensor, gradients: Tensor) -> Tensor:
        return weights.layer_cam(activations, gradients)


class EigenCamExplainer(CamExplainer):
    """First principal component of the feature maps: what stands out, whatever the target."""

    citation = "Muhammad, Yeasin, IJCNN 2020"
    passes = "1 forward"
    ignores_target = True

    def _weighted(self, images: Tensor, targets: Tensor) -> Tensor:
        with torch.no_grad():
            _, (activations,) = self.classifier.logits_and_features(images, layers=[self.layer])
        return weights.eigen_cam(activations)


class ScoreCamExplainer(CamExplainer):
    """Feature maps weighted by the target's logit for the image seen through each of them.

    References:
        Wang et al., CVPR workshop 2020, equations 6 to 8; the weights are a softmax over channels.
    """

    citation = "Wang et al., CVPR workshop 2020"
    passes = "1 + channels forward"

    def __init__(
        self, classifier: Classifier, *, layer: str | None = None, images_per_pass: int = 32, seed: int = 0
    ) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            layer: As for every class activation map.
            images_per_pass: Masked images per pass; bounds memory.
            seed: As for every explainer.
        """
        super().__init__(classifier, layer=layer, seed=seed)
        self._passes = PassSize(positive("images_per_pass", images_per_pass), owner=type(self).__name__)

    def _weighted(self, images: Tensor, targets: Tensor) -> Tensor:
        with torch.no_grad():
            _, (activations,) = self.classifier.logits_and_features(images, layers=[self.layer])
            return torch.stack(
                [
                    self._one(image, maps, target)
                    for image, maps, target in zip(images, activations, targets.tolist(), strict=True)
                ]
            )

    def _one(self, image: Tensor, maps: Tensor, target: int) -> Tensor:
        mean_color = self.classifier.mean_color(image[None])

        def logits(part: slice) -> Tensor:
            masks = interpolate(maps[part][None], size=image.shape[-2:], mode="bilinear", align_corners=False)[0]
            lowest, highest = masks.amin(dim=(1, 2), keepdim=True), masks.amax(dim=(1, 2), keepdim=True)
            scaled = (masks - lowest) / (highest - lowest).clamp(min=1e-8)
            result: Tensor = self.classifier(mean_color + (image - mean_color) * scaled[:, None])[:, target]
            return result

        importance = torch.cat(self._passes.in_parts(logits, total=len(maps))).softmax(dim=0)
        return (importance[:, None, None] * maps).sum(dim=0)


def enlarged_positive_part(cam: Tensor, images: Tensor) -> Tensor:
    """Positive part of (B, h, w) at the size of the images, float32 (B, H, W)."""
    size = (images.shape[-2], images.shape[-1])
    return interpolate(cam.clamp(min=0)[:, None], size=size, mode="bilinear", align_corners=False)[:, 0].float()
