"""Base of the metrics that ask the classifier about images made from one case, by the case's map."""

from abc import abstractmethod

import torch
from torch import Tensor

from ...datasets import Case, CaseBatch, InputError
from ...explainers import Classifier
from ...explainers.fills import FillName
from .answer_metric import AnswerMetric
from .answers import filled_case, retained, scores_where_kept
from .context import ScoringContext


class FaithfulnessMetric(AnswerMetric):
    """Scores case by case, so that no batch of the classifier mixes cases.

    Pixels are ranked as `ranked_pixels` says, so that a uniform map is a random ranking. Removed pixels become a named
    fill. The answer is the target's probability, or for regression what is `retained` of the change.
    """

    def __init__(self, *, fill: FillName = "mean") -> None:
        """Choose how pixels are removed.

        Args:
            fill: What removed pixels become: ``mean``, ``image_mean``, ``blur`` or ``noise``.
        """
        self.fill: FillName = fill

    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        classifier = context.classifier
        pairs = zip(maps, batch.cases, strict=True)
        scores = [self._score_case(values.to(classifier.device), case, classifier=classifier) for values, case in pairs]
        return torch.tensor(scores, dtype=torch.float64)

    @abstractmethod
    def _score_case(self, values: Tensor, case: Case, *, classifier: Classifier) -> float:
        """The score of one map, float32 (H, W) on the classifier's device."""

    def _answers(self, keep: Tensor, case: Case, *, classifier: Classifier) -> Tensor:
        """Answers where some pixels are kept, bool (n, H, W), after the answer to the whole image: float64 (n + 1,)."""
        everything = torch.ones_like(keep[:1])
        scores = scores_where_kept(
            torch.cat([everything, ~everything, keep]),
            fill_image=filled_case(case, fill=self.fill, classifier=classifier),
            case=case,
            classifier=classifier,
        )
        answers = retained(scores, full=scores[0], empty=scores[1], task=classifier.task)
        return torch.cat([answers[:1], answers[2:]])


def at_least_one(name: str, value: int) -> int:
    """Check a count.

    Raises:
        InputError: If it is below 1.
    """
    if value < 1:
        raise InputError(f"{name} is {value}; wanted at least 1")
    return value


def shares(name: str, values: tuple[float, ...]) -> tuple[float, ...]:
    """Check shares of pixels.

    Raises:
        InputError: If there is none, or one is not above 0 and at most 1.
    """
    if not values or not all(0 < value <= 1 for value in values):
        raise InputError(f"{name} is {list(values)}; wanted at least one share of the pixels, above 0 and at most 1")
    return values
