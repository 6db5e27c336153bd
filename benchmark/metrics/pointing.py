"""Do the very most relevant pixels lie in the annotated region?"""

import torch
from torch import Tensor

from ...datasets import CaseBatch, InputError
from .context import ScoringContext
from .localization import LocalizationMetric, expected_hits, map_mask_pairs
from .metric import installed


class PointingMetric(LocalizationMetric):
    """Base of the metrics that look at the top of the ranking; ties count in expectation, as in rank accuracy."""

    @property
    def library(self) -> str:
        """NumPy and its version."""
        return installed("numpy")

    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        scores = [
            expected_hits(values, mask, k=self._places(len(mask))) for values, mask in map_mask_pairs(maps, batch)
        ]
        return torch.tensor(scores, dtype=torch.float64)

    def _places(self, n_pixels: int) -> int:
        """How many pixels count as the top, 1 to ``n_pixels``."""
        return 1


class PointingGame(PointingMetric):
    """Whether the most relevant pixel lies in the annotated region: 1 or 0, without tolerance.

    Deviates from Quantus where several pixels share the maximum: Quantus counts a hit if any of them lies inside, so
    that a uniform map always hits. Here the score is the share of them that lies inside, the expectation when one is
    drawn; a uniform map scores the region's share of the image, which is chance. Deviates from the paper, which
    forgives 15 pixels, a distance that means nothing without the size of the image.

    References:
        Zhang, Bargal, Lin, Brandt, Shen, Sclaroff, «Top-down neural attention by excitation backprop», IJCV 2018.
    """

    name = "pointing_game"
    citation = "Zhang, Bargal, Lin, Brandt, Shen, Sclaroff, IJCV 2018"

    @property
    def params(self) -> dict[str, object]:
        """How ties are broken."""
        return {"ties": "expectation"}


class TopKIntersection(PointingMetric):
    """Share of the top pixels that lies in the annotated region, whatever the region's size.

    A region smaller than the top cannot reach 1. Deviates from Quantus in ties, as relevance rank accuracy does, and in
    counting the top as a share of the image: a fixed 1,000 pixels are 2 % at 224 px and a quarter at 64 px.

    References:
        Theiner, Müller-Budack, Ewerth, «Interpretable semantic photo geolocation», WACV 2022.
    """

    name = "top_k_intersection"
    citation = "Theiner, Müller-Budack, Ewerth, WACV 2022"

    def __init__(self, *, fraction: float = 0.02) -> None:
        """Choose the size of the top.

        Args:
            fraction: Share of all pixels, in (0, 1]; at least one pixel counts.
        """
        if not 0 < fraction <= 1:
            raise InputError(f"fraction is {fraction}; wanted a share of the pixels, above 0 and at most 1")
        self.fraction = fraction

    @property
    def params(self) -> dict[str, object]:
        """Size of the top, and how ties are broken."""
        return {"fraction": self.fraction, "ties": "expectation"}

    def _places(self, n_pixels: int) -> int:
        return max(1, round(self.fraction * n_pixels))
