"""Extremal perturbation: the smooth mask of a given area that keeps, or deletes, the most of a score."""

from collections.abc import Callable
from math import ceil
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad, unfold

from ...datasets import InputError
from ..checks import positive
from ..classifiers import Classifier
from ..explainer import Explainer
from ..pass_size import PassSize
from .blur_levels import blur_levels, gaussian_blur, seen_through

Variant = Literal["preserve", "delete", "contrastive"]

_BLUR_LEVELS = 8
_STRONGEST_BLUR = 20 / 224
_KERNEL_UNIT = 4.7 / 224  # a disc has faded to 5 % at 21 of 224 pixels, the radius of the paper
_SMOOTH_MAXIMUM_TEMPERATURE = 1 / 20
_START_SPREAD = 0.1


class ExtremalPerturbationExplainer(Explainer):
    """Mean over areas of the masks that keep most of the target's logit (or whose removal takes most of it).

    References:
        Fong, Patrick, Vedaldi, ICCV 2019: area constraint by ranked reference (equation 3), smooth masks by smooth
        max-convolution (section 3.2), blur pyramid, sum over areas. Deviates from the paper: logits are measured in
        units of what the whole image adds to its blurred copy, so that one weight of the area term serves all
        networks; masks start with the intact image (from one half, the area term decides before the classifier has been
        heard: pointing 0.17 in the place of 0.88 on synthetic lesions); Adam in the place of gradient descent with
        momentum; masks are made on a coarse grid, and in the end a power of their values, which changes no rank, makes
        their mean the wanted area.
    """

    family = "perturbation"
    citation = "Fong, Patrick, Vedaldi, ICCV 2019"
    passes = "areas × steps forward, areas × steps backward (contrastive: twice)"

    def __init__(
        self,
        classifier: Classifier,
        *,
        areas: tuple[float, ...] = (0.05, 0.1, 0.2),
        variant: Variant = "contrastive",
        steps: int = 80,
        learning_rate: float = 0.1,
        area_weights: tuple[float, float] = (1.0, 300.0),
        cells: int = 16,
        smoothing: float = 0.09,
        images_per_pass: int = 32,
        seed: int = 0,
    ) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            areas: Shares of the image that masks may keep, each more than 0 and less than 1.
            variant: ``preserve`` keeps the score inside the mask, ``delete`` takes it by blurring the mask's inside,
                ``contrastive`` does both.
            steps: Steps of Adam per mask.
            learning_rate: Of Adam.
            area_weights: Of the area term at the start and at the end; it grows exponentially.
            cells: Cells of the mask on the longer image side.
            smoothing: Standard deviation of the Gaussian over the mean of the masks, as a share of the shorter image
                side; 0.09 in the paper's pointing game, 0 for none.
            images_per_pass: Masked images per pass, two of a contrastive mask; bounds memory.
            seed: As for every explainer; nothing here is random.
        """
        super().__init__(classifier, seed=seed)
        if not areas or not all(0 < area < 1 for area in areas):
            raise InputError(f"areas is {areas}; wanted shares of the image, each more than 0 and less than 1")
        if not learning_rate > 0:
            raise InputError(f"learning_rate is {learning_rate}; wanted more than 0")
        if not 0 < area_weights[0] <= area_weights[1]:
            raise InputError(f"area_weights is {area_weights}; wanted 0 < start <= end")
        if not smoothing >= 0:
            raise InputError(f"smoothing is {smoothing}; wanted at least 0 (a share of the shorter image side)")
        self.smoothing = smoothing
        self.areas, self.variant = tuple(areas), variant
        self.steps, self.cells = positive("steps", steps), positive("cells", cells)
        self.learning_rate, self.area_weights = learning_rate, area_weights
        # Of masks: both images of a contrastive one are held until their common gradient is known.
        masks_per_pass = positive("images_per_pass", images_per_pass) // (2 if variant == "contrastive" else 1)
        self._passes = PassSize(max(1, masks_per_pass), owner=type(self).__name__)

    def masks(self, images: Tensor, targets: Tensor) -> Tensor:
        """The masks of all areas.

        Args:
            images: float32 (B, C, H, W) in [0, 1].
            targets: int64 (B,).

        Returns:
            float32 (B, areas, H, W) in [0, 1].
        """
        n_areas = len(self.areas)
        areas = torch.tensor(self.areas, device=images.device).repeat(len(images))
        index = torch.arange(len(images), device=images.device).repeat_interleave(n_areas)
        found = self._passes.in_parts(
            lambda part: self._optimized(images[index[part]], targets[index[part]], areas[part]), total=len(index)
        )
        return torch.cat(found).reshape(len(images), n_areas, *images.shape[-2:])

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        maps = self.masks(images, targets).mean(dim=1)
        if not self.smoothing:
            return maps
        return gaussian_blur(maps[:, None], sigma=self.smoothing * min(maps.shape[-2:]))[:, 0]

    def _optimized(self, images: Tensor, targets: Tensor, areas: Tensor) -> Tensor:
        size = (images.shape[-2], images.shape[-1])
        pyramid = blur_levels(images, strongest=_STRONGEST_BLUR, levels=_BLUR_LEVELS)
        rows = torch.arange(len(images), device=images.device)
        with torch.no_grad():
            blurred = self.classifier(pyramid[:, -1])[rows, targets]
            scale = (self.classifier(images)[rows, targets] - blurred).abs().clamp(min=1e-3)
        grid = [max(2, ceil(self.cells * side / max(size))) for side in size]

        def change(seeds: Tensor) -> Tensor:
            """What the masks lose of the score, and leave of it: (B,)."""
            enlarged = _enlarged(smooth_maximum(seeds, unit=_KERNEL_UNIT * max(grid)), size)
            kept = deleted = torch.zeros_like(scale)
            if self.variant != "delete":
                kept = (self.classifier(seen_through(pyramid, enlarged))[rows, targets] - blurred) / scale
            if self.variant != "preserve":
                deleted = (self.classifier(seen_through(pyramid, 1 - enlarged))[rows, targets] - blurred) / scale
            return deleted - kept

        seeds = self._start(change, torch.empty(len(images), *grid, device=images.device))
        optimizer = torch.optim.Adam([seeds], lr=self.learning_rate)
        first, last = self.area_weights
        for step in range(self.steps):
            weight = first * (last / first) ** (step / max(1, self.steps - 1))
            masks = smooth_maximum(seeds, unit=_KERNEL_UNIT * max(grid))
            loss = change(seeds) + weight * area_violation(masks, areas)
            # Every mask has its own loss, and Adam its own moments per cell: the sum keeps them apart.
            (seeds.grad,) = torch.autograd.grad(loss.sum(), seeds)
            optimizer.step()
            with torch.no_grad():
                seeds.clamp_(0, 1)
        with torch.no_grad():
            final = _enlarged(smooth_maximum(seeds, unit=_KERNEL_UNIT * max(grid)), size)
            return with_mean(final.clamp(0, 1), areas)

    def _start(self, change: Callable[[Tensor], Tensor], empty: Tensor) -> Tensor:
        """Seeds near the intact image, in the order of their gradients.

        Equals would be ranked by the sort, for no reason, and the area term would make that lasting.
        """
        intact = 0.0 if self.variant == "delete" else 1.0
        seeds = torch.full_like(empty, intact, requires_grad=True)
        (gradient,) = torch.autograd.grad(change(seeds).sum(), seeds)
        low, high = gradient.amin(dim=(1, 2), keepdim=True), gradient.amax(dim=(1, 2), keepdim=True)
        worth = (high - gradient) / (high - low).clamp(min=1e-12)
        spread = _START_SPREAD * (worth if self.variant == "delete" else worth - 1)
        return (intact + spread).requires_grad_()


def smooth_maximum(seeds: Tensor, *, unit: float) -> Tensor:
    """Smooth max-convolution: each seed grows to a soft disc, and discs that overlap do not add up.

    Args:
        seeds: float32 (B, h, w) in [0, 1].
        unit: Radius of a disc's plateau in cells.

    Returns:
        float32 (B, h, w) in [0, 1].

    References:
        Fong, Patrick, Vedaldi, ICCV 2019, equations 6 and 7.
    """
    radius = max(1, ceil(5 * unit))
    places = torch.arange(-radius, radius + 1, device=seeds.device)
    distance = (places[:, None] ** 2 + places[None, :] ** 2).sqrt() / unit
    kernel = torch.exp(-((distance - 1).clamp(min=0) ** 2) / 4)
    padded = pad(seeds[:, None], (radius, radius, radius, radius))
    grown = unfold(padded, len(places)) * kernel.flatten()[None, :, None]
    weights = (grown / _SMOOTH_MAXIMUM_TEMPERATURE).softmax(dim=1)
    return (weights * grown).sum(dim=1).reshape(seeds.shape)


def area_violation(masks: Tensor, areas: Tensor) -> Tensor:
    """Mean squared distance of a mask's sorted values from those of a binary mask of the wanted area.

    Args:
        masks: float32 (B, h, w).
        areas: float32 (B,), shares of ones.

    Returns:
        float32 (B,).
    """
    # Stable: seeds at their bounds make ties, which a GPU would otherwise order another way than a CPU.
    ranked = masks.flatten(1).sort(dim=1, descending=True, stable=True).values
    n_places = ranked.shape[1]
    ones = areas[:, None] * n_places - torch.arange(n_places, device=masks.device)
    # The place at the boundary is as much one as it lies within the area.
    return (ranked - ones.clamp(0, 1)).square().mean(dim=1)


def with_mean(masks: Tensor, areas: Tensor) -> Tensor:
    """Masks brought to the wanted mean by a power of their values, found by bisection.

    Args:
        masks: float32 (B, H, W) in [0, 1].
        areas: float32 (B,), wanted means, more than 0 and less than 1.

    Returns:
        float32 (B, H, W); as near as can be where too many values are exactly 0 or 1.
    """
    low, high = torch.full_like(areas, -7.0), torch.full_like(areas, 7.0)
    for _ in range(40):
        middle = (low + high) / 2
        is_large = masks.pow(middle.exp()[:, None, None]).mean(dim=(1, 2)) > areas
        low, high = torch.where(is_large, middle, low), torch.where(is_large, high, middle)
    return masks.pow(low.exp()[:, None, None])


def _enlarged(masks: Tensor, size: tuple[int, int]) -> Tensor:
    return interpolate(masks[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
