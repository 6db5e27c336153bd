"""Meaningful perturbation: the smallest, smoothest region whose blurring takes the score away."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ...datasets import InputError
from ..checks import positive
from ..classifiers import Classifier
from ..explainer import Explainer
from ..pass_size import PassSize
from .blur_levels import blur_levels, seen_through

_BLUR = 10 / 224


class MeaningfulPerturbationExplainer(Explainer):
    """A coarse mask that deletes the target's score with little area and little total variation.

    References:
        Fong, Vedaldi, ICCV 2017, equation 4. Deviates from the paper: no jitter, so that nothing is random; area and
        total variation are means, in units of the score at hand (the image's minus the blurred image's).
    """

    family = "perturbation"
    citation = "Fong, Vedaldi, ICCV 2017"
    passes = "2 + steps forward, steps backward"

    def __init__(
        self,
        classifier: Classifier,
        *,
        steps: int = 150,
        learning_rate: float = 0.1,
        area_weight: float = 1.0,
        variation_weight: float = 2.0,
        variation_power: float = 3.0,
        cells: int = 28,
        images_per_pass: int = 32,
        seed: int = 0,
    ) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            steps: Steps of Adam.
            learning_rate: Of Adam.
            area_weight: Of the mean of the mask.
            variation_weight: Of the mean total variation.
            variation_power: Power of differences in the total variation; 3 in the paper.
            cells: Cells of the mask per image side.
            images_per_pass: Masked images per pass; bounds memory.
            seed: As for every explainer; nothing here is random.
        """
        super().__init__(classifier, seed=seed)
        weights = {"area_weight": area_weight, "variation_weight": variation_weight}
        for name, value in weights.items():
            if not value >= 0:
                raise InputError(f"{name} is {value}; wanted at least 0")
        if not learning_rate > 0:
            raise InputError(f"learning_rate is {learning_rate}; wanted more than 0")
        self.steps, self.cells, self.learning_rate = positive("steps", steps), positive("cells", cells), learning_rate
        self.area_weight, self.variation_weight = area_weight, variation_weight
        self.variation_power = variation_power
        self._passes = PassSize(positive("images_per_pass", images_per_pass), owner=type(self).__name__)

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        return torch.cat(
            self._passes.in_parts(lambda part: self._optimized(images[part], targets[part]), total=len(images))
        )

    def _optimized(self, images: Tensor, targets: Tensor) -> Tensor:
        size = (images.shape[-2], images.shape[-1])
        pyramid = blur_levels(images, strongest=_BLUR, levels=2)
        rows = torch.arange(len(images), device=images.device)
        with torch.no_grad():
            blurred = self.classifier.scores(pyramid[:, -1])[rows, targets]
            scale = (self.classifier.scores(images)[rows, targets] - blurred).abs().clamp(min=1e-3)
        region = torch.full((len(images), self.cells, self.cells), 0.5, device=images.device, requires_grad=True)
        optimizer = torch.optim.Adam([region], lr=self.learning_rate)
        for _ in range(self.steps):
            left = self.classifier.scores(seen_through(pyramid, 1 - _enlarged(region, size)))[rows, targets]
            loss = (
                (left - blurred) / scale
                + self.area_weight * region.mean(dim=(1, 2))
                + self.variation_weight * total_variation(region, power=self.variation_power)
            )
            (region.grad,) = torch.autograd.grad(loss.sum(), region)
            optimizer.step()
            with torch.no_grad():
                region.clamp_(0, 1)
        return _enlarged(region.detach(), size)


def total_variation(masks: Tensor, *, power: float) -> Tensor:
    """Mean over cells of the differences to the neighbours below and to the right, to a power: (B, h, w) to (B,)."""
    down = masks.diff(dim=1).abs().clamp(min=1e-6).pow(power).mean(dim=(1, 2))
    right = masks.diff(dim=2).abs().clamp(min=1e-6).pow(power).mean(dim=(1, 2))
    return down + right


def _enlarged(masks: Tensor, size: tuple[int, int]) -> Tensor:
    return interpolate(masks[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
