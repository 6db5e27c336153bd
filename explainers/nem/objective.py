"""What a mask is taught: shrink, kill the score when deleted, keep it when preserved."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...datasets import Task


@dataclass(frozen=True, kw_only=True)
class ObjectiveTerms:
    """Terms of the target-label loss, each a scalar tensor.

    Attributes:
        area: Mean of the mask.
        deletion: What is left of the target's score when the mask is deleted, as a share of the score before.
        preservation: What is lost of the target's score when only the mask is kept, as a share; never negative.
    """

    area: Tensor
    deletion: Tensor
    preservation: Tensor

    def loss(self, *, area_weight: float) -> Tensor:
        """area_weight · area + deletion + preservation."""
        return area_weight * self.area + self.deletion + self.preservation


def blend(images: Tensor, fill: Tensor, keep: Tensor) -> Tensor:
    """Keep some pixels of an image and fill the rest.

    Args:
        images: (B, C, H, W).
        fill: (B, C, H, W), what removed pixels become.
        keep: (B, H, W) in [0, 1]; 1 keeps.
    """
    keep = keep[:, None]
    return images * keep + fill * (1 - keep)


def classification_terms(
    masks: Tensor, *, clean: Tensor, deleted: Tensor, preserved: Tensor, present: Tensor
) -> ObjectiveTerms:
    """Signed, scale-free terms for probabilities.

    Args:
        masks: (B, H, W) in [0, 1].
        clean: (B,) score of the target on the image.
        deleted: (B,) on the image without the mask's pixels.
        preserved: (B,) on the mask's pixels alone.
        present: bool (B,): whether the classifier sees the target at all. Where it does not there is nothing to
            delete or preserve, and the area term alone teaches an empty mask.

    References:
        Møller et al., NLDL 2025, eq. for NEMt. Deviates from the paper: the paper squares the unsigned change of the
        score under deletion alone; its gradient vanishes at «delete nothing» and it has no preservation.
    """
    weight = present.to(masks.dtype) / max(1, len(present))
    clean = clean.clamp(min=1e-3)
    return ObjectiveTerms(
        area=masks.mean(),
        deletion=(weight * deleted / clean).sum(),
        preservation=(weight * (1 - preserved / clean).clamp(min=0)).sum(),
    )


def regression_terms(
    masks: Tensor, *, clean: Tensor, deleted: Tensor, preserved: Tensor, without_image: Tensor, spread: Tensor
) -> ObjectiveTerms:
    """Terms for regression outputs: the output should fall when the mask is deleted and hold when it is preserved.

    Args:
        masks: (B, H, W) in [0, 1].
        clean: (B,) output on the image.
        deleted: (B,) on the image without the mask's pixels.
        preserved: (B,) on the mask's pixels alone.
        without_image: (B,) on the fill alone.
        spread: (B,) standard deviation of the output over the training images, > 0.

    Returns:
        Terms in units of the spread. What there is to explain is how far the image lies above the bare fill; images
        that do not are taught an empty mask by the area term.
    """
    evidence = ((clean - without_image) / spread).clamp(min=0)
    scale = evidence.clamp(min=1.0)
    return ObjectiveTerms(
        area=masks.mean(),
        deletion=(torch.minimum(((deleted - without_image) / spread).clamp(min=0), evidence) / scale).mean(),
        preservation=(torch.minimum(((clean - preserved) / spread).clamp(min=0), evidence) / scale).mean(),
    )


def present_targets(scores: Tensor, targets: Tensor, *, task: Task) -> Tensor:
    """Whether the classifier itself sees each target, bool (B,).

    Args:
        scores: (B, K) on the clean images.
        targets: int64 (B,).
        task: Multiclass: the target is the predicted class, or has at least half its probability; multilabel: its
            probability is above one half; regression: always.
    """
    own = scores.gather(1, targets[:, None])[:, 0]
    if task is Task.MULTICLASS:
        return own >= 0.5 * scores.amax(dim=1)
    if task is Task.MULTILABEL:
        return own > 0.5
    return torch.ones_like(targets, dtype=torch.bool)
