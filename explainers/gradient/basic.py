"""Gradient explainers of Captum behind our interface.

All of them explain logits (for regression: the output), reduce colour channels as their parameter says, and take the
image that the classifier sees as zeros, its mean colour, as the baseline.
"""

import torch
from captum.attr import GradientShap, InputXGradient, IntegratedGradients, Saliency
from torch import Tensor

from ...datasets import InputError
from ..channels import ChannelExplainer, ChannelReduction
from ..checks import positive
from ..classifiers import Classifier
from ..pass_size import PassSize
from ..randomness import case_seed, seeded


class SaliencyExplainer(ChannelExplainer):
    """Magnitude of the gradient, maximum over channels."""

    family = "gradient"
    citation = "Simonyan, Vedaldi, Zisserman, ICLR workshop 2014"
    passes = "1 forward, 1 backward"
    library = "captum"
    default_reduction = "max_abs"

    def _attribute_channels(self, images: Tensor, targets: Tensor) -> Tensor:
        result: Tensor = Saliency(self.classifier).attribute(images.requires_grad_(), target=targets, abs=True)
        return result


class InputXGradientExplainer(ChannelExplainer):
    """Gradient times the distance of the input from mean colour."""

    family = "gradient"
    citation = "Shrikumar et al., arXiv:1605.01713, 2016"
    passes = "1 forward, 1 backward"
    library = "captum"

    def _attribute_channels(self, images: Tensor, targets: Tensor) -> Tensor:
        # Captum multiplies by its input, in which black would count as «nothing»; for the classifier, and for every
        # other explainer here, mean colour does. The gradient with respect to the offset is the gradient.
        mean_color = self.classifier.mean_color(images)
        offsets = (images - mean_color).requires_grad_()
        explainer = InputXGradient(lambda offset: self.classifier(mean_color + offset))
        result: Tensor = explainer.attribute(offsets, target=targets)
        return result


class IntegratedGradientsExplainer(ChannelExplainer):
    """Gradients integrated on the straight way from mean colour to the image."""

    family = "gradient"
    citation = "Sundararajan, Taly, Yan, ICML 2017"
    passes = "steps forward, steps backward"
    library = "captum"

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
            channel_reduction: As for every explainer that attributes to channels.
            seed: As for every explainer.
        """
        super().__init__(classifier, channel_reduction=channel_reduction, seed=seed)
        self.steps = positive("steps", steps)
        self._passes = PassSize(positive("internal_batch_size", internal_batch_size), owner=type(self).__name__)

    def _attribute_channels(self, images: Tensor, targets: Tensor) -> Tensor:
        def integrate(images_per_pass: int) -> Tensor:
            result: Tensor = IntegratedGradients(self.classifier).attribute(
                images,
                baselines=self.classifier.mean_color(images),
                target=targets,
                n_steps=self.steps,
                # Captum refuses batches smaller than the number of images.
                internal_batch_size=max(images_per_pass, len(images)),
            )
            return result

        return self._passes.attempt(integrate, total=self.steps * len(images))


class GradientShapExplainer(ChannelExplainer):
    """Expected gradients at random points between noisy images and constant images."""

    family = "gradient"
    citation = "Lundberg, Lee, NeurIPS 2017 (as implemented in Captum); Erion et al., Nat. Mach. Intell. 2021"
    passes = "samples forward, samples backward"
    library = "captum"
    is_random = True

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
            channel_reduction: As for every explainer that attributes to channels.
            seed: As for every explainer.
        """
        super().__init__(classifier, channel_reduction=channel_reduction, seed=seed)
        self.samples = positive("samples", samples)
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
