"""Does the relevance for one target lie on the evidence of another?"""

import torch
from torch import Tensor

from ...datasets import Case, CaseBatch
from .context import ScoringContext
from .metric import Metric, installed


class OtherTargetMass(Metric):
    """Share of the relevance that lies on the regions of other present targets, outside the target's own region.

    A map that lights up everything of interest has a good share of its relevance in the right region and still does not
    say what speaks for *this* output. Applies where at least one other present output has a region that reaches beyond
    the target's own; never to regression, whose outputs are not present or absent.

    References:
        Defined here; the region shares are those of Arras, Osman, Samek, Information Fusion 2022.
    """

    name = "other_target_mass"
    family = "target specificity"
    higher_is_better = False
    bounds = (0.0, 1.0)
    needs = frozenset({"attribution", "gt_mask"})
    citation = "xaibench 2026; after Arras, Osman, Samek, Information Fusion 2022"

    @property
    def library(self) -> str:
        """PyTorch and its version."""
        return installed("torch")

    def applicable(self, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        """Cases with an own region, and another present target whose region is not inside it: bool (B,)."""
        others = torch.stack([regions_of_others(case).any() for case in batch.cases])
        return super().applicable(batch, context=context) & others

    def chance(self, batch: CaseBatch, *, context: ScoringContext | None = None) -> Tensor:
        """Share of the image that the other regions take.

        Args:
            batch: B cases.
            context: Not used.

        Returns:
            float64 (B,); NaN where the metric does not apply.
        """
        share = torch.stack([regions_of_others(case).double().mean() for case in batch.cases])
        return share.where(self.applicable(batch, context=context or ScoringContext()), torch.nan)

    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        others = torch.stack([regions_of_others(case) for case in batch.cases])
        relevance = maps.double()
        return (relevance * others).sum(dim=(1, 2)) / relevance.sum(dim=(1, 2))


def regions_of_others(case: Case) -> Tensor:
    """Pixels of other present outputs outside the target's own region: bool (H, W), empty where there are none."""
    masks, outputs = case.sample.gt_masks, case.sample.outputs
    are_labels = bool(((outputs == 0) | (outputs == 1)).all())
    if masks is None or not are_labels:
        return torch.zeros(case.sample.image.shape[-2:], dtype=torch.bool)
    return masks[outputs == 1].any(dim=0) & ~masks[case.target]
