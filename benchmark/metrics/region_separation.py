"""How well does the relevance of a pixel tell the annotated region from the rest?"""

import numpy as np
import quantus
import torch
from torch import Tensor

from ...datasets import CaseBatch
from .context import ScoringContext
from .localization import LocalizationMetric
from .metric import installed


class AttributionLocalization(LocalizationMetric):
    """Relevance inside the region over all positive relevance.

    For prepared maps, which have no negative relevance, this is relevance mass accuracy to the last digits: listed
    under its own name for comparison with papers that report it. Computed here because Quantus' batch call takes the
    size of the image from a slice over the batch, and divides by zero for fewer than three cases.

    References:
        Kohlbrenner, Bauer, Nakajima, Binder, Samek, Lapuschkin, «Towards best practice in explaining neural network
        decisions with LRP», IJCNN 2020.
    """

    name = "attribution_localization"
    citation = "Kohlbrenner, Bauer, Nakajima, Binder, Samek, Lapuschkin, IJCNN 2020"

    @property
    def library(self) -> str:
        """PyTorch and its version."""
        return installed("torch")

    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        relevance = maps.double()
        return (relevance * batch.gt_masks.cpu()).sum(dim=(1, 2)) / relevance.sum(dim=(1, 2))


class LocalizationAuc(LocalizationMetric):
    """Area under the ROC curve of relevance as a detector of the region's pixels; tied pixels count half.

    Depends on the order of pixels alone: neither amplitudes nor a floor under the background matter. Not applicable
    where the region is the whole image, since there is nothing to tell it from.

    References:
        Fawcett, «An introduction to ROC analysis», Pattern Recognition Letters 2006.
    """

    name = "localization_auc"
    citation = "Fawcett, Pattern Recognition Letters 2006"

    def __init__(self) -> None:
        self._quantus = quantus.AUC(abs=True, normalise=False, disable_warnings=True)

    @property
    def library(self) -> str:
        """Quantus and its version."""
        return installed("quantus")

    @property
    def params(self) -> dict[str, object]:
        """What Quantus is told."""
        return {"abs": self._quantus.abs, "normalise": self._quantus.normalise}

    def chance(self, batch: CaseBatch, *, context: ScoringContext | None = None) -> Tensor:
        """Area under the diagonal.

        Args:
            batch: B cases.
            context: Not used.

        Returns:
            float64 (B,), 0.5; NaN where the metric does not apply.
        """
        applicable = self.applicable(batch, context=context or ScoringContext())
        return torch.full((len(batch.cases),), 0.5, dtype=torch.float64).where(applicable, torch.nan)

    def applicable(self, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        """Cases whose region is neither empty nor the whole image: bool (B,)."""
        inside = batch.gt_masks.flatten(1)
        return (inside.any(dim=1) & ~inside.all(dim=1)).cpu()

    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        scores = self._quantus.evaluate_batch(a_batch=maps.numpy(), s_batch=batch.gt_masks.numpy(force=True))
        return torch.as_tensor(np.asarray(scores))
