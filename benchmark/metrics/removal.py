"""What is left of the answer without, or with nothing but, the most relevant pixels?"""

import torch
from torch import Tensor

from ...datasets import Case, InputError
from ...explainers import Classifier
from ...explainers.fills import FillName
from .faithfulness import FaithfulnessMetric, shares
from .insertion_deletion import PerturbationCurves, PerturbationMetric
from .ranking import places_of, ranked_pixels

_SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)


class PixelFlipping(PerturbationMetric):
    """Mean answer from the first flip of pixels to the last, the most relevant flipped first.

    The area under the deletion curve without its first step, in which nothing has been flipped yet; read from the
    passes that `deletion_auc` makes. Quantus' area under the curve, divided by the number of its steps.

    References:
        Bach, Binder, Montavon, Klauschen, Müller, Samek, «On pixel-wise explanations for non-linear classifier
        decisions by layer-wise relevance propagation», PLOS ONE 2015.
    """

    name = "pixel_flipping"
    higher_is_better = False
    bounds = (0.0, 1.0)
    citation = "Bach, Binder, Montavon, Klauschen, Müller, Samek, PLOS ONE 2015"

    def __init__(self, *, fill: FillName = "mean", steps: int = 64) -> None:
        super().__init__(fill=fill, steps=steps)
        if steps < 2:
            raise InputError(f"steps is {steps}; wanted at least 2, the first flip and the last")

    def _area(self, curves: PerturbationCurves) -> Tensor:
        flipped = torch.trapezoid(curves.deletion[:, 1:], curves.fractions[1:])
        return flipped / (1 - curves.fractions[1])


class _ShareMetric(FaithfulnessMetric):
    """Base of the metrics that keep or remove a few shares of the most relevant pixels."""

    bounds = (-1.0, 1.0)

    def __init__(self, *, fill: FillName = "mean", fractions: tuple[float, ...] = _SHARES) -> None:
        """Choose how much is kept or removed, and how.

        Args:
            fill: As for every faithfulness metric.
            fractions: Shares of the pixels; the score is the mean over them.
        """
        super().__init__(fill=fill)
        self.fractions = shares("fractions", fractions)

    @property
    def params(self) -> dict[str, object]:
        """Fill and shares."""
        return {**super().params, "fractions": list(self.fractions)}

    @property
    def passes(self) -> str:
        """A pass per share, and the two ends."""
        return f"{len(self.fractions) + 2} forward"

    def _most_relevant(self, values: Tensor, case: Case) -> Tensor:
        places = places_of(ranked_pixels(values, case=case))
        counts = torch.tensor([max(1, round(share * len(places))) for share in self.fractions], device=places.device)
        return (places < counts[:, None]).view(-1, *values.shape)


class Sufficiency(_ShareMetric):
    """How much of the answer is lost when nothing but the most relevant pixels is kept, mean over a few shares.

    Not the measure of the same name by Dasgupta, Frost, Moshkovitz (ICML 2022), which Quantus has: there the score of a
    case depends on which other cases lie in the same batch.

    References:
        DeYoung et al., «ERASER: a benchmark to evaluate rationalized NLP models», ACL 2020, equation 2 and its
        aggregation over shares.
    """

    name = "sufficiency"
    higher_is_better = False
    citation = "DeYoung et al., ACL 2020"

    def _score_case(self, values: Tensor, case: Case, *, classifier: Classifier) -> float:
        answers = self._answers(self._most_relevant(values, case), case, classifier=classifier)
        return float((answers[0] - answers[1:]).mean())


class Comprehensiveness(_ShareMetric):
    """How much of the answer is lost when the most relevant pixels are removed, mean over a few shares.

    References:
        DeYoung et al., «ERASER: a benchmark to evaluate rationalized NLP models», ACL 2020, equation 1 and its
        aggregation over shares.
    """

    name = "comprehensiveness"
    higher_is_better = True
    citation = "DeYoung et al., ACL 2020"

    def _score_case(self, values: Tensor, case: Case, *, classifier: Classifier) -> float:
        answers = self._answers(~self._most_relevant(values, case), case, classifier=classifier)
        return float((answers[0] - answers[1:]).mean())
