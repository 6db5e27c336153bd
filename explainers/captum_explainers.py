"""Explainers of Captum behind our interface.

All of them explain logits (for regression: the output), reduce colour channels as their parameter says, and take the
image that the classifier sees as zeros, its mean colour, as the baseline.
"""

from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from captum.attr import GradientShap, InputXGradient, IntegratedGradients, LayerGradCam, Occlusion, Saliency
from torch import Tensor
from torch.nn.functional import interpolate

from ..datasets import InputError
from .classifiers import Classifier
from .explainer import Explainer
from .randomness import case_seed, seeded

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


class CaptumExplainer(Explainer):
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


class SaliencyExplainer(CaptumExplainer):
    """Magnitude of the gradient, maximum over channels."""

    family = "gradient"
    citation = "Simonyan, Vedaldi, Zisserman, ICLR workshop 2014"
    default_reduction = "max_abs"

    def _attribute_channels(self, images: Tensor, targets: Tensor) -> Tensor:
        result: Tensor = Saliency(self.classifier).attribute(images.requires_grad_(), target=targets, abs=True)
        return result


class InputXGradientExplainer(CaptumExplainer):
    """Gradient times the distance of the input from mean colour."""

    family = "gradient"
    citation = "Shrikumar et al., arXiv:1605.01713, 2016"

    def _attribute_channels(self, images: Tensor, targets: Tensor) -> Tensor:
        # Captum multiplies by its input, in which black would count as «nothing»; for the classifier, and for every
        # other explainer here, mean colour does. The gradient with respect to the offset is the gradient.
        mean_color = self.classifier.mean_color(images)
        offsets = (images - mean_color).requires_grad_()
        explainer = InputXGradient(lambda offset: self.classifier(mean_color + offset))
        result: Tensor = explainer.attribute(offsets, target=targets)
        return result


class IntegratedGradientsExplainer(CaptumExplainer):
    """Gradients integrated on the straight way from mean colour to the image."""

    family = "gradient"
    citation = "Sundararajan, Taly, Yan, ICML 2017"

    def __init__(
        self,
        classifier: Classifier,
        *,
        steps: int = 32,
        internal_batch_size: int = 32,
        channel_reduction: ChannelReduction | None = None,
        seed: int = 0,
    ) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            steps: Points of the Gauss-Legendre quadrature, at least 1.
            internal_batch_size: Images per pass; bounds memory.
            channel_reduction: As for every Captum explainer.
            seed: As for every explainer.
        """
        super().__init__(classifier, channel_reduction=channel_reduction, seed=seed)
        self.steps = _positive("steps", steps)
        self.internal_batch_size = _positive("internal_batch_size", internal_batch_size)

    def _attribute_channels(self, images: Tensor, targets: Tensor) -> Tensor:
        result: Tensor = IntegratedGradients(self.classifier).attribute(
            images,
            baselines=self.classifier.mean_color(images),
            target=targets,
            n_steps=self.steps,
            # Captum refuses batches smaller than the number of images.
            internal_batch_size=max(self.internal_batch_size, len(images)),
        )
        return result


class GradientShapExplainer(CaptumExplainer):
    """Expected gradients at random points between noisy images and constant images."""

    family = "gradient"
    citation = "Lundberg, Lee, NeurIPS 2017 (as implemented in Captum); Erion et al., Nat. Mach. Intell. 2021"

    def __init__(
        self,
        classifier: Classifier,
        *,
        samples: int = 16,
        noise: float = 0.05,
        channel_reduction: ChannelReduction | None = None,
        seed: int = 0,
    ) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            samples: Random points per image, at least 1.
            noise: Standard deviation of the noise on images in [0, 1], >= 0.
            channel_reduction: As for every Captum explainer.
            seed: As for every explainer.
        """
        super().__init__(classifier, channel_reduction=channel_reduction, seed=seed)
        self.samples = _positive("samples", samples)
        if not noise >= 0:
            raise InputError(f"noise is {noise}; wanted at least 0 (images are in [0, 1])")
        self.noise = noise

    def _attribute_channels(self, images: Tensor, targets: Tensor) -> Tensor:
        explainer = GradientShap(self.classifier)
        maps = []
        # One image at a time: Captum draws for the whole batch from the global generators, and a map must not depend
        # on its neighbours. The samples of one image still fill a batch.
        for image, target in zip(images, targets, strict=True):
            one = image[None]
            mean_color = self.classifier.mean_color(one)
            baselines = torch.cat([torch.zeros_like(one), mean_color, torch.ones_like(one)])
            with seeded(case_seed(self.seed, image, int(target))):
                maps.append(
                    explainer.attribute(
                        one, baselines=baselines, target=target[None], n_samples=self.samples, stdevs=self.noise
                    )
                )
        return torch.cat(maps)


class OcclusionExplainer(CaptumExplainer):
    """Change of the output when a window of the image is painted over in mean colour."""

    family = "perturbation"
    citation = "Zeiler, Fergus, ECCV 2014"
    # Captum gives each channel the whole effect of its window: a sum is that effect times the channels, the same map.
    default_reduction = "sum"

    def __init__(
        self,
        classifier: Classifier,
        *,
        window: float = 0.125,
        stride: float = 0.0625,
        windows_per_pass: int = 8,
        channel_reduction: ChannelReduction | None = None,
        seed: int = 0,
    ) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            window: Side of the window as a share of the image side, 0 < window <= 1.
            stride: Step of the window as a share of the image side, 0 < stride <= window.
            windows_per_pass: Windows painted per pass and image; bounds memory.
            channel_reduction: As for every Captum explainer.
            seed: As for every explainer.
        """
        super().__init__(classifier, channel_reduction=channel_reduction, seed=seed)
        if not 0 < stride <= window <= 1:
            raise InputError(f"window is {window}, stride is {stride}; wanted 0 < stride <= window <= 1 (image sides)")
        self.window, self.stride = window, stride
        self.windows_per_pass = _positive("windows_per_pass", windows_per_pass)

    def _attribute_channels(self, images: Tensor, targets: Tensor) -> Tensor:
        channels, height, width = images.shape[1:]
        window = (channels, *(max(1, round(self.window * side)) for side in (height, width)))
        stride = (channels, *(max(1, round(self.stride * side)) for side in (height, width)))
        with torch.no_grad():
            result: Tensor = Occlusion(self.classifier).attribute(
                images,
                sliding_window_shapes=window,
                strides=stride,
                baselines=self.classifier.mean_color(images),
                target=targets,
                perturbations_per_eval=self.windows_per_pass,
            )
        return result


class GradCamExplainer(Explainer):
    """Feature maps weighted by their mean gradient, positive part, bilinearly enlarged."""

    family = "cam"
    citation = "Selvaraju et al., ICCV 2017"

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


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise InputError(f"{name} is {value}; wanted at least 1")
    return value
