"""What a mask is taught: shrink, silence the target when deleted, keep it when preserved, leave the others alone."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class ObjectiveTerms:
    """Terms of a loss, one value per image, each (B,).

    Attributes:
        area: Mean of the mask.
        deletion: What is left of the target when the mask is deleted, as a share of what there was.
        preservation: What is lost of the target when only the mask is kept, as a share; never negative.
        leakage: What is lost of the other present outputs when the mask is deleted, and what is left of them when only
            the mask is kept, as shares, summed over them.
    """

    area: Tensor
    deletion: Tensor
    preservation: Tensor
    leakage: Tensor

    def loss(self, *, area_weight: float, leakage_weight: float, has_area: Tensor) -> Tensor:
        """Mean over images of area_weight · area + deletion + preservation + leakage_weight · leakage.

        Args:
            area_weight: Weight of the area.
            leakage_weight: Weight of the leakage.
            has_area: bool (B,), whether the area of each image counts.
        """
        area = area_weight * self.area * has_area
        return (area + self.deletion + self.preservation + leakage_weight * self.leakage).mean()

    def means(self) -> dict[str, float]:
        """Mean of each term over images."""
        return {field.name: float(getattr(self, field.name).detach().mean()) for field in fields(self)}


def mean_terms(several: Sequence[ObjectiveTerms]) -> ObjectiveTerms:
    """Term by term the mean of several judgments of the same masks.

    Args:
        several: At least one.
    """
    return ObjectiveTerms(
        **{
            field.name: torch.stack([getattr(terms, field.name) for terms in several]).mean(dim=0)
            for field in fields(ObjectiveTerms)
        }
    )


def blend(images: Tensor, fill: Tensor, keep: Tensor) -> Tensor:
    """Keep some pixels of an image and fill the rest.

    Args:
        images: (B, C, H, W).
        fill: (B, C, H, W), what removed pixels become.
        keep: (B, H, W) in [0, 1]; 1 keeps.
    """
    keep = keep[:, None]
    return images * keep + fill * (1 - keep)


def probability_terms(
    masks: Tensor, *, targets: Tensor, clean: Tensor, deleted: Tensor, preserved: Tensor, present: Tensor
) -> ObjectiveTerms:
    """Signed, scale-free terms for probabilities.

    Args:
        masks: (B, H, W) in [0, 1].
        targets: int64 (B,).
        clean: (B, K) probabilities on the image.
        deleted: (B, K) on the image without the mask's pixels.
        preserved: (B, K) on the mask's pixels alone.
        present: bool (B,): whether the classifier sees the target at all. Where it does not there is nothing to
            delete or preserve, and the area term alone teaches an empty mask.

    Returns:
        Terms. Others count for leakage where their probability is above one half: in a multiclass image none, but the
        predicted class where the target is present and another one.

    References:
        Møller et al., NLDL 2025, eq. for NEMt. Deviates from the paper: the paper squares the unsigned change of the
        score under deletion alone; its gradient vanishes at «delete nothing» and it has no preservation.
    """
    counts = present.to(masks.dtype)
    own = torch.zeros_like(clean, dtype=torch.bool).scatter_(1, targets[:, None], True)
    others = (clean > 0.5) & ~own & present[:, None]
    remaining = deleted / clean.clamp(min=1e-3)
    kept = preserved / clean.clamp(min=1e-3)
    leaked = torch.where(others, (1 - remaining).clamp(min=0) + kept, torch.zeros_like(kept))
    return ObjectiveTerms(
        area=masks.mean(dim=(1, 2)),
        deletion=counts * (remaining * own).sum(dim=1),
        preservation=counts * (1 - (kept * own).sum(dim=1)).clamp(min=0),
        leakage=leaked.sum(dim=1),
    )


def value_terms(
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
        area=masks.mean(dim=(1, 2)),
        deletion=torch.minimum(((deleted - without_image) / spread).clamp(min=0), evidence) / scale,
        preservation=torch.minimum(((clean - preserved) / spread).clamp(min=0), evidence) / scale,
        leakage=torch.zeros_like(clean),
    )


def published_terms(masks: Tensor, *, clean: Tensor, deleted: Tensor) -> ObjectiveTerms:
    """Terms of NEMt as published: the smallest region whose deletion changes the target's score, either way.

    Args:
        masks: (B, H, W) in [0, 1].
        clean: (B,) score of the target on the image.
        deleted: (B,) on the image without the mask's pixels.

    Returns:
        Terms whose loss with an area weight of one half is half of mean(e) + 2 (1 - (s(x_d) - s(x))²).

    References:
        Møller et al., NLDL 2025.
    """
    nothing = torch.zeros_like(clean)
    return ObjectiveTerms(
        area=masks.mean(dim=(1, 2)), deletion=1 - (deleted - clean).square(), preservation=nothing, leakage=nothing
    )


def embedding_terms(
    masks: Tensor, *, clean: Tensor, deleted: Tensor, preserved: Tensor, contrastive: bool
) -> ObjectiveTerms:
    """Terms of NEM-U: the masked image stays where the image lies in the space of embeddings; no output is asked.

    Args:
        masks: (B, H, W) in [0, 1].
        clean: (B, D) embedding of the image.
        deleted: (B, D) of the image without the mask's pixels.
        preserved: (B, D) of the mask's pixels alone.
        contrastive: Whether the embedding without the mask's pixels is pushed away as well.

    Returns:
        Terms whose distances are (1 - cosine) / 2, in [0, 1]; an area weight of 1/8 gives the published balance of
        4 · distance + ½ · area.

    References:
        Møller et al., ICML 2024.
    """
    nothing = torch.zeros_like(masks[:, 0, 0])
    apart = cosine_distance(preserved, deleted)
    return ObjectiveTerms(
        area=masks.mean(dim=(1, 2)),
        deletion=1 - apart if contrastive else nothing,
        preservation=cosine_distance(clean, preserved),
        leakage=nothing,
    )


def cosine_distance(first: Tensor, second: Tensor) -> Tensor:
    """(1 - cosine) / 2 of embeddings (B, D): 0 where they point the same way, 1 where they are opposed."""
    return (1 - torch.cosine_similarity(first, second, dim=1)) / 2
