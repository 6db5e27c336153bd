"""Does the relevance lie in the annotated region?"""

from collections.abc import Iterator

import numpy as np
import quantus
import torch
from torch import Tensor

from ...datasets import CaseBatch
from .context import ScoringContext
from .metric import Metric, installed


class LocalizationMetric(Metric):
    """Base of the metrics that compare a map with the annotated region; chance is the region's share of the image."""

    family = "localization"
    higher_is_better = True
    bounds = (0.0, 1.0)
    needs = frozenset({"attribution", "gt_mask"})

    def chance(self, batch: CaseBatch, *, context: ScoringContext | None = None) -> Tensor:
        """Share of pixels inside the region, which is the expected score if all placements of relevance are alike.

        Args:
            batch: B cases.
            context: Not used.

        Returns:
            float64 (B,) in (0, 1]; NaN where a case has no region.
        """
        inside = batch.gt_masks.flatten(1)
        mask_area_fraction = (inside.sum(dim=1).double() / inside.shape[1]).cpu()
        return mask_area_fraction.where(mask_area_fraction > 0, torch.nan)


class RelevanceMassAccuracy(LocalizationMetric):
    """Share of all relevance that lies in the annotated region.

    References:
        Arras, Osman, Samek, «CLEVR-XAI: a benchmark dataset for the ground truth evaluation of neural network
        explanations», Information Fusion 2022.
    """

    name = "relevance_mass_accuracy"
    citation = "Arras, Osman, Samek, Information Fusion 2022"

    def __init__(self) -> None:
        self._quantus = quantus.RelevanceMassAccuracy(abs=True, normalise=False, disable_warnings=True)

    @property
    def library(self) -> str:
        """Quantus and its version."""
        return installed("quantus")

    @property
    def params(self) -> dict[str, object]:
        """What Quantus is told."""
        return {"abs": self._quantus.abs, "normalise": self._quantus.normalise}

    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        scores = self._quantus.evaluate_batch(a_batch=maps.numpy(), s_batch=batch.gt_masks.numpy(force=True))
        return torch.as_tensor(np.asarray(scores))


class RelevanceRankAccuracy(LocalizationMetric):
    """Share of the k most relevant pixels that lie in the annotated region of k pixels.

    The score needs the k-th largest value, not a sorted map: a selection takes a fraction of the time of Quantus' full
    argsort, and gives bit for bit Quantus' number wherever the k most relevant pixels are determined (a test pins it).

    Deviates from Quantus: where pixels tie for the last places among the k most relevant, Quantus takes them in the
    order in which its sort leaves them, so that the score depends on where a tied pixel stands in memory: half-empty
    maps and uniform maps are judged by pixel order. Here the score is the exact expectation under random tie-breaking,
    (hits above the tie + hits in the tie · places left / size of the tie) / k. A uniform map scores the region's share
    of the image, which is chance.

    References:
        Arras, Osman, Samek, «CLEVR-XAI: a benchmark dataset for the ground truth evaluation of neural network
        explanations», Information Fusion 2022.
    """

    name = "relevance_rank_accuracy"
    citation = "Arras, Osman, Samek, Information Fusion 2022"

    @property
    def library(self) -> str:
        """NumPy and its version."""
        return installed("numpy")

    @property
    def params(self) -> dict[str, object]:
        """How ties are broken."""
        return {"ties": "expectation"}

    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        scores = [expected_hits(values, mask, k=int(mask.sum())) for values, mask in map_mask_pairs(maps, batch)]
        return torch.tensor(scores, dtype=torch.float64)


def map_mask_pairs(maps: Tensor, batch: CaseBatch) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Per case the map, float (N,), and the region, bool (N,), flattened alike."""
    return zip(maps.flatten(1).numpy(), batch.gt_masks.flatten(1).numpy(force=True), strict=True)


def expected_hits(values: np.ndarray, mask: np.ndarray, *, k: int) -> float:
    """Share of the k most relevant pixels inside the region, in expectation over the order of tied pixels.

    Args:
        values: float (N,).
        mask: bool (N,).
        k: 1 to N.
    """
    last = np.partition(values, len(values) - k)[len(values) - k]
    above, tied = values > last, values == last
    places_left = k - int(np.count_nonzero(above))
    hits_above, hits_tied = int(np.count_nonzero(above & mask)), int(np.count_nonzero(tied & mask))
    return (hits_above + hits_tied * places_left / int(np.count_nonzero(tied))) / k
