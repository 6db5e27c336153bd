"""Controls: maps that know nothing of the classifier, and one that knows the answer.

A score means little by itself: on images whose subject is central a centred blob beats most explainers. Controls run
beside every rival.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from ..datasets import InputError
from .classifiers import Classifier
from .explainer import Explainer
from .randomness import case_seed


class _Control(Explainer):
    family = "control"
    is_control = True
    citation = "xaibench control"
    passes = "0"


class RandomControl(_Control):
    """Independent uniform noise in every pixel: chance."""

    is_random = True

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        maps = []
        for image, target in zip(images, targets.tolist(), strict=True):
            generator = torch.Generator().manual_seed(case_seed(self.seed, image, target))
            maps.append(torch.rand(image.shape[-2:], generator=generator))
        return torch.stack(maps).to(images.device)


class UniformControl(_Control):
    """The same value in every pixel: an explanation that says nothing."""

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        return torch.ones_like(images[:, 0])


class CentreGaussianControl(_Control):
    """A Gaussian in the centre of the image: what the photographer knew."""

    def __init__(self, classifier: Classifier, *, sigma: float = 0.35, seed: int = 0) -> None:
        """Bind the control to a classifier.

        Args:
            classifier: As for every explainer.
            sigma: Standard deviation in half image sides, > 0.
            seed: As for every explainer.
        """
        super().__init__(classifier, seed=seed)
        if not sigma > 0:
            raise InputError(f"sigma is {sigma}; wanted more than 0 (in half image sides)")
        self.sigma = sigma

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        rows = torch.linspace(-1, 1, height, device=images.device)
        columns = torch.linspace(-1, 1, width, device=images.device)
        squared_distance = rows[:, None] ** 2 + columns[None, :] ** 2
        return torch.exp(-squared_distance / (2 * self.sigma**2)).expand(len(images), height, width).clone()


class SobelControl(_Control):
    """Magnitude of the brightness gradient: an edge detector (Adebayo et al., NeurIPS 2018, use one likewise)."""

    citation: ClassVar[str] = "Adebayo et al., NeurIPS 2018 (edge detector as a control)"

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        kernel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=images.device)
        kernels = torch.stack([kernel, kernel.T])[:, None]
        brightness = pad(images.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        return conv2d(brightness, kernels).square().sum(dim=1).sqrt()


class OracleControl(_Control):
    """The annotated region itself: the ceiling of localization, not a rival."""

    sees_gt_masks = True

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError("the oracle explains from gt_masks")

    def _attribute_from_masks(self, images: Tensor, targets: Tensor, gt_masks: Tensor) -> Tensor:
        return gt_masks.to(images.dtype)
