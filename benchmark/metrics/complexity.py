"""Is the relevance gathered on few pixels, so that a person can take it in?"""

import math

import numpy as np
import quantus
import torch
from torch import Tensor

from ...datasets import CaseBatch, InputError
from .context import ScoringContext
from .metric import Metric, installed


class ComplexityMetric(Metric):
    """Base of the metrics that ask how concentrated a map is: they see nothing but the map, and Quantus computes."""

    family = "complexity"
    needs = frozenset({"attribution"})

    def __init__(self, quantus_metric: quantus.Complexity | quantus.Sparseness | quantus.EffectiveComplexity) -> None:
        """Bind the metric to the one of Quantus that computes it."""
        self._quantus = quantus_metric

    @property
    def library(self) -> str:
        """Quantus and its version."""
        return installed("quantus")

    @property
    def params(self) -> dict[str, object]:
        """What Quantus is told."""
        return {"abs": self._quantus.abs, "normalise": self._quantus.normalise}

    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        # A copy: Quantus edits the array that it is given.
        values = maps.numpy().copy()
        scores = np.asarray(self._quantus.evaluate_batch(x_batch=values, a_batch=values))
        # The entropy of a single pixel comes as -0.0, which a table would show.
        return torch.as_tensor(scores + 0.0)


class Complexity(ComplexityMetric):
    """Entropy, in nats, of the distribution of relevance over pixels: 0 for one pixel, ln(H·W) for a uniform map.

    -Σ p_i ln p_i with p_i = a_i / Σ a_j, where Quantus adds 1e-12 to p_i under the logarithm.

    References:
        Bhatt, Weller, Moura, «Evaluating and aggregating feature-based model explanations», IJCAI 2020.
    """

    name = "complexity"
    higher_is_better = False
    bounds = (0.0, None)
    citation = "Bhatt, Weller, Moura, IJCAI 2020"

    def __init__(self) -> None:
        super().__init__(quantus.Complexity(abs=True, normalise=False, disable_warnings=True))

    def chance(self, batch: CaseBatch, *, context: ScoringContext | None = None) -> Tensor:
        """Entropy of the uniform map.

        Args:
            batch: B cases with images of H × W pixels.
            context: Not used.

        Returns:
            float64 (B,), ln(H·W).
        """
        height, width = batch.images.shape[-2:]
        return torch.full((len(batch.cases),), math.log(height * width), dtype=torch.float64)


class Sparseness(ComplexityMetric):
    """Gini index of the relevance of pixels: 0 for a uniform map, 1 - 1/(H·W) for one pixel.

    ΣΣ |a_i - a_j| / (2 N Σ a_i) over the N pixels.

    Quantus adds 1e-7 to every pixel, which divides the index by 1 + 1e-7 / mean(map): one part in a million for
    ordinary maps, but a single pixel at 224 × 224 scores 0.9950 rather than 0.99998.

    References:
        Chalasani et al., «Concise explanations of neural networks using adversarial training», ICML 2020.
    """

    name = "sparseness"
    higher_is_better = True
    bounds = (0.0, 1.0)
    citation = "Chalasani, Chen, Chowdhury, Jha, Wu, ICML 2020"

    def __init__(self) -> None:
        super().__init__(quantus.Sparseness(abs=True, normalise=False, disable_warnings=True))

    def chance(self, batch: CaseBatch, *, context: ScoringContext | None = None) -> Tensor:
        """Gini index of the uniform map.

        Args:
            batch: B cases.
            context: Not used.

        Returns:
            float64 (B,), 0.
        """
        return torch.zeros(len(batch.cases), dtype=torch.float64)


class EffectiveComplexity(ComplexityMetric):
    """Share of pixels whose relevance lies above a threshold: 1/(H·W) for one pixel, 1 for a uniform map.

    Deviates from Quantus, which counts pixels: a share can be compared between images of different sizes. Quantus and
    this class deviate from the paper, whose threshold is one of the expected change of the prediction.

    References:
        Nguyen, Rodríguez Martínez, «On quantitative aspects of model interpretability», arXiv:2007.07584, 2020.
    """

    name = "effective_complexity"
    higher_is_better = False
    bounds = (0.0, 1.0)
    citation = "Nguyen, Rodríguez Martínez, arXiv:2007.07584, 2020"

    def __init__(self, *, threshold: float = 1e-5) -> None:
        """Choose what counts as relevant.

        Args:
            threshold: Share of the map's maximum, in [0, 1).
        """
        if not 0 <= threshold < 1:
            raise InputError(f"threshold is {threshold}; wanted a share of the map's maximum, from 0 to below 1")
        super().__init__(quantus.EffectiveComplexity(eps=threshold, abs=True, normalise=False, disable_warnings=True))
        self.threshold = threshold

    @property
    def params(self) -> dict[str, object]:
        """The threshold, and what Quantus is told besides."""
        return {**super().params, "threshold": self.threshold}

    def chance(self, batch: CaseBatch, *, context: ScoringContext | None = None) -> Tensor:
        """Share of a uniform map.

        Args:
            batch: B cases.
            context: Not used.

        Returns:
            float64 (B,), 1.
        """
        return torch.ones(len(batch.cases), dtype=torch.float64)

    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        return super()._score(maps, batch, context=context).double() / maps[0].numel()
