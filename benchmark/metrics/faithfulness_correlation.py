"""Does the answer fall by as much as the removed pixels are relevant?"""

import torch
from torch import Tensor

from ...datasets import Case, InputError
from ...explainers import Classifier
from ...explainers.fills import FillName
from .answers import scoring_generator
from .faithfulness import FaithfulnessMetric, at_least_one
from .ranking import level_counts, places_of, ranked_pixels
from .similarity import correlation


class _CorrelationMetric(FaithfulnessMetric):
    """Base of the metrics that correlate the relevance of sets of pixels with what removing each set costs.

    Where one of them does not vary (a uniform map over sets of one size, a classifier that does not care), there is no
    correlation to see: 0.
    """

    higher_is_better = True
    bounds = (-1.0, 1.0)

    def _correlation(self, sets: Tensor, values: Tensor, case: Case, *, classifier: Classifier) -> float:
        """Of the sets, bool (n, H, W)."""
        answers = self._answers(~sets, case, classifier=classifier)
        drops = answers[0] - answers[1:]
        # Relevance on the CPU: sums there do not depend on the device.
        relevance = sets.flatten(1).double().cpu() @ values.flatten().double().cpu()
        return correlation(relevance.numpy(), drops.numpy())


class FaithfulnessCorrelation(_CorrelationMetric):
    """Correlation over random sets of pixels, all of one size.

    The sets belong to the case: every explainer is asked about the same ones.

    References:
        Bhatt, Weller, Moura, «Evaluating and aggregating feature-based model explanations», IJCAI 2020, equation 1.
    """

    name = "faithfulness_correlation"
    citation = "Bhatt, Weller, Moura, IJCAI 2020"

    def __init__(self, *, fill: FillName = "mean", subset_fraction: float = 0.05, runs: int = 100) -> None:
        """Choose the sets.

        Args:
            fill: As for every faithfulness metric.
            subset_fraction: Share of the pixels in a set, in (0, 1).
            runs: Number of sets, at least 2.
        """
        super().__init__(fill=fill)
        if not 0 < subset_fraction < 1:
            raise InputError(f"subset_fraction is {subset_fraction}; wanted a share of the pixels, above 0 and below 1")
        if runs < 2:
            raise InputError(f"runs is {runs}; wanted at least 2 sets to correlate")
        self.subset_fraction, self.runs = subset_fraction, runs

    @property
    def params(self) -> dict[str, object]:
        """Fill and sets."""
        return {**super().params, "subset_fraction": self.subset_fraction, "runs": self.runs}

    @property
    def passes(self) -> str:
        """A pass per set, and the two ends."""
        return f"{self.runs + 2} forward"

    def _score_case(self, values: Tensor, case: Case, *, classifier: Classifier) -> float:
        generator = scoring_generator(case, purpose="faithfulness correlation")
        size = max(1, round(self.subset_fraction * values.numel()))
        sets = torch.zeros(self.runs, values.numel(), dtype=torch.bool)
        for row in sets:
            row[torch.randperm(values.numel(), generator=generator)[:size]] = True
        sets = sets.view(self.runs, *values.shape).to(values.device)
        return self._correlation(sets, values, case, classifier=classifier)


class FaithfulnessEstimate(_CorrelationMetric):
    """Correlation over disjoint sets of pixels of neighbouring rank, which together are the image.

    References:
        Alvarez-Melis, Jaakkola, «Towards robust interpretability with self-explaining neural networks», NeurIPS 2018.
    """

    name = "faithfulness_estimate"
    citation = "Alvarez-Melis, Jaakkola, NeurIPS 2018"

    def __init__(self, *, fill: FillName = "mean", sets: int = 64) -> None:
        """Choose the sets.

        Args:
            fill: As for every faithfulness metric.
            sets: Number of sets, of sizes that differ by a pixel at most; at least 1.
        """
        super().__init__(fill=fill)
        self.sets = at_least_one("sets", sets)

    @property
    def params(self) -> dict[str, object]:
        """Fill and number of sets."""
        return {**super().params, "sets": self.sets}

    @property
    def passes(self) -> str:
        """A pass per set, and the two ends."""
        return f"{self.sets + 2} forward"

    def _score_case(self, values: Tensor, case: Case, *, classifier: Classifier) -> float:
        places = places_of(ranked_pixels(values, case=case))
        ends = level_counts(len(places), steps=self.sets).to(places.device)[:, None]
        sets = (places >= ends[:-1]) & (places < ends[1:])
        return self._correlation(sets.view(-1, *values.shape), values, case, classifier=classifier)
