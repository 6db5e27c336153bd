"""Gradients averaged over random neighbours of the image, or over images to compare it with."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ...datasets import InputError
from ..channels import ChannelExplainer, ChannelReduction, reduce_channels
from ..checks import positive
from ..classifiers import Classifier
from ..fitted import FitRequest, FittedExplainer
from ..pass_size import PassSize
from ..randomness import case_seed


def target_gradients(classifier: Classifier, images: Tensor, target: int, *, passes: PassSize) -> Tensor:
    """Gradient of one logit at many images, (N, C, H, W)."""

    def of_part(part: slice) -> Tensor:
        leaf = images[part].detach().requires_grad_()
        (gradient,) = torch.autograd.grad(classifier(leaf)[:, target].sum(), leaf)
        return gradient

    return torch.cat(passes.in_parts(of_part, total=len(images)))


class _NoisyGradientExplainer(ChannelExplainer):
    """Base: gradients at noisy copies of the image."""

    family = "gradient"
    passes = "samples forward, samples backward"
    is_random = True

    def __init__(
        self,
        classifier: Classifier,
        *,
        samples: int = 25,
        noise: float = 0.15,
        channel_reduction: ChannelReduction | None = None,
        images_per_pass: int = 32,
        seed: int = 0,
    ) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            samples: Noisy copies of each image, at least 2.
            noise: Standard deviation of the Gaussian noise as a share of the image's range of values, > 0.
            channel_reduction: As for every explainer that attributes to channels.
            images_per_pass: Copies per pass; bounds memory.
            seed: As for every explainer.
        """
        super().__init__(classifier, channel_reduction=channel_reduction, seed=seed)
        if samples < 2:
            raise InputError(f"samples is {samples}; wanted at least 2")
        if not noise > 0:
            raise InputError(f"noise is {noise}; wanted more than 0 (a share of the image's range)")
        self.samples, self.noise = samples, noise
        self._passes = PassSize(positive("images_per_pass", images_per_pass), owner=type(self).__name__)

    def _attribute_channels(self, images: Tensor, targets: Tensor) -> Tensor:
        maps = []
        for image, target in zip(images, targets.tolist(), strict=True):
            generator = torch.Generator().manual_seed(case_seed(self.seed, image, target))
            noise = torch.randn(self.samples, *image.shape, generator=generator).to(image.device)
            copies = image + self.noise * (image.max() - image.min()) * noise
            maps.append(self._summary(target_gradients(self.classifier, copies, target, passes=self._passes)))
        return torch.stack(maps)

    @abstractmethod
    def _summary(self, gradients: Tensor) -> Tensor:
        """One (C, H, W) of (N, C, H, W)."""


class SmoothGradExplainer(_NoisyGradientExplainer):
    """Mean of the gradients at noisy copies of the image.

    References:
        Smilkov et al., arXiv:1706.03825, 2017, section 3; the magnitude is taken of the mean.
    """

    citation = "Smilkov et al., arXiv:1706.03825, 2017"
    default_reduction = "max_abs"

    def _summary(self, gradients: Tensor) -> Tensor:
        return gradients.mean(dim=0)


class VarGradExplainer(_NoisyGradientExplainer):
    """Variance of the gradients at noisy copies of the image.

    References:
        Adebayo et al., ICLR workshop 2018 (arXiv:1810.03307), equation 3.
    """

    citation = "Adebayo et al., ICLR workshop 2018"

    def _summary(self, gradients: Tensor) -> Tensor:
        return gradients.var(dim=0, correction=0)


class ExpectedGradientsExplainer(FittedExplainer):
    """Integrated gradients averaged over training images as baselines: no single reference colour is privileged.

    References:
        Erion et al., Nat. Mach. Intell. 2021, equation 4: one random baseline and one random point of the way a sample.
    """

    family = "gradient"
    citation = "Erion et al., Nat. Mach. Intell. 2021"
    passes = "samples forward, samples backward"
    format_name = "xaibench expected gradients backgrounds"

    def __init__(
        self,
        classifier: Classifier,
        *,
        samples: int = 64,
        backgrounds: int = 64,
        channel_reduction: ChannelReduction = "sum",
        images_per_pass: int = 32,
        seed: int = 0,
    ) -> None:
        """Bind an unfitted explainer to a classifier.

        Args:
            classifier: What is explained.
            samples: Random points per image.
            backgrounds: Training images kept as baselines, at most as many as there are.
            channel_reduction: As for every explainer that attributes to channels.
            images_per_pass: Points per pass; bounds memory.
            seed: As for every explainer.
        """
        super().__init__(classifier, seed=seed)
        self.samples, self.backgrounds = positive("samples", samples), positive("backgrounds", backgrounds)
        self.channel_reduction: ChannelReduction = channel_reduction
        self._passes = PassSize(positive("images_per_pass", images_per_pass), owner=type(self).__name__)

    def _settings(self) -> dict[str, Any]:
        return {
            "samples": self.samples,
            "backgrounds": self.backgrounds,
            "channel_reduction": self.channel_reduction,
        }

    def _fit(self, request: FitRequest) -> tuple[dict[str, Tensor], dict[str, Any]]:
        generator = torch.Generator().manual_seed(self.seed)
        chosen = torch.randperm(len(request.dataset), generator=generator)[: self.backgrounds].tolist()
        images = torch.stack([request.dataset[index].image for index in chosen]).to(self.classifier.device)
        return {"backgrounds": images}, {"fit_forward_passes": 0}

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        self._images = tensors["backgrounds"]

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        if self._tensors is None:
            raise self._not_fitted()
        # Images of another size are compared with baselines brought to that size.
        pool = interpolate(self._images, size=images.shape[-2:], mode="bilinear", align_corners=False)
        maps = []
        for image, target in zip(images, targets.tolist(), strict=True):
            generator = torch.Generator().manual_seed(case_seed(self.seed, image, target))
            drawn = torch.randint(len(pool), (self.samples,), generator=generator).to(image.device)
            position = torch.rand(self.samples, 1, 1, 1, generator=generator).to(image.device)
            baselines = pool[drawn]
            ways = image - baselines
            gradients = target_gradients(self.classifier, baselines + position * ways, target, passes=self._passes)
            maps.append((ways * gradients).mean(dim=0))
        return reduce_channels(torch.stack(maps), self.channel_reduction).float()
