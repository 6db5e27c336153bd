"""Does the answer come with the most relevant pixels, and go with them? Insertion, deletion and their difference."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from ...datasets import Case, CaseBatch, InputError
from ...explainers import Classifier
from ...explainers.fills import FillName
from .answer_metric import AnswerMetric
from .answers import filled_case, retained, scores_where_kept
from .context import ScoringContext, content
from .ranking import level_counts, places_of, ranked_pixels


@dataclass(frozen=True, kw_only=True)
class PerturbationCurves:
    """Answers while pixels come or go, the most relevant first.

    Attributes:
        fractions: float64 (L,), share of pixels inserted or deleted at each level, from 0 to 1.
        insertion: float64 (B, L), what is retained of the answer when the fill gives way to the image.
        deletion: float64 (B, L), what is retained of the answer when the image gives way to the fill.
    """

    fractions: Tensor
    insertion: Tensor
    deletion: Tensor


def perturbation_curves(
    maps: Tensor, batch: CaseBatch, *, context: ScoringContext, fill: FillName, steps: int
) -> PerturbationCurves:
    """Both curves of every case: 2 · ``steps`` forward passes a case, whichever metrics read them.

    Args:
        maps: float32 (B, H, W), prepared.
        batch: The B cases.
        context: Holds the classifier, and the curves once they are computed.
        fill: What absent pixels are.
        steps: Levels after the first.
    """

    def compute() -> PerturbationCurves:
        pairs = [
            _curves_of_case(values, case, classifier=context.classifier, fill=fill, steps=steps)
            for values, case in zip(maps, batch.cases, strict=True)
        ]
        n_pixels = maps[0].numel()
        return PerturbationCurves(
            fractions=level_counts(n_pixels, steps=steps).double() / n_pixels,
            insertion=torch.stack([insertion for insertion, _ in pairs]),
            deletion=torch.stack([deletion for _, deletion in pairs]),
        )

    return context.once("perturbation curves", compute, settings=[fill, steps], tensors=content(maps, batch))


def _curves_of_case(
    values: Tensor, case: Case, *, classifier: Classifier, fill: FillName, steps: int
) -> tuple[Tensor, Tensor]:
    places = places_of(ranked_pixels(values.to(classifier.device), case=case))
    counts = level_counts(len(places), steps=steps).to(places.device)
    most_relevant = (places < counts[:, None]).view(-1, *values.shape)
    # The first level of one curve is the last of the other: both are asked once.
    keep = torch.cat([most_relevant, ~most_relevant[1:-1]])
    fill_image = filled_case(case, fill=fill, classifier=classifier)
    scores = scores_where_kept(keep, fill_image=fill_image, case=case, classifier=classifier)
    answers = retained(scores, full=scores[steps], empty=scores[0], task=classifier.task)
    insertion, between = answers[: steps + 1], answers[steps + 1 :]
    return insertion, torch.cat([insertion[-1:], between, insertion[:1]])


class PerturbationMetric(AnswerMetric):
    """Base of the metrics that read areas under perturbation curves.

    Pixels are ranked once; tied pixels come in a random order that belongs to the case. The answer is the target's
    probability (softmax or sigmoid); for regression, the share that is retained of the change which filling the whole
    image makes, see `retained`. The area is taken by the trapezoid rule over the fraction of pixels. Chance is the same
    number for a random ranking of the same case.

    Scores under different fills are different metrics: no fill removes pixels without leaving an image of its own.
    """

    def __init__(self, *, fill: FillName = "mean", steps: int = 64) -> None:
        """Choose how pixels are removed.

        Args:
            fill: What absent pixels are: ``mean``, ``image_mean``, ``blur`` or ``noise``.
            steps: Levels after the first, evenly spaced over the fraction of pixels, at least 1.
        """
        if steps < 1:
            raise InputError(f"steps is {steps}; wanted at least 1")
        self.fill: FillName = fill
        self.steps = steps

    @property
    def params(self) -> dict[str, object]:
        """Fill and number of levels."""
        return {"fill": self.fill, "steps": self.steps}

    @property
    def passes(self) -> str:
        """Forward passes; the metrics of one fill share them."""
        return f"{2 * self.steps} forward, shared"

    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        return self._area(perturbation_curves(maps, batch, context=context, fill=self.fill, steps=self.steps))

    @abstractmethod
    def _area(self, curves: PerturbationCurves) -> Tensor:
        """The score (B,) that the curves give."""


class InsertionAuc(PerturbationMetric):
    """Area under the answer while pixels are inserted into the fill, the most relevant first.

    References:
        Petsiuk, Das, Saenko, «RISE: randomized input sampling for explanation of black-box models», BMVC 2018.
    """

    name = "insertion_auc"
    higher_is_better = True
    bounds = (0.0, 1.0)
    citation = "Petsiuk, Das, Saenko, BMVC 2018"

    def _area(self, curves: PerturbationCurves) -> Tensor:
        return torch.trapezoid(curves.insertion, curves.fractions)


class DeletionAuc(PerturbationMetric):
    """Area under the answer while pixels of the image are filled, the most relevant first.

    References:
        Petsiuk, Das, Saenko, «RISE: randomized input sampling for explanation of black-box models», BMVC 2018.
    """

    name = "deletion_auc"
    higher_is_better = False
    bounds = (0.0, 1.0)
    citation = "Petsiuk, Das, Saenko, BMVC 2018"

    def _area(self, curves: PerturbationCurves) -> Tensor:
        return torch.trapezoid(curves.deletion, curves.fractions)


class InsertionMinusDeletion(PerturbationMetric):
    """Insertion AUC minus deletion AUC: what separates a ranking from a random one, whose difference is about 0.

    Either area alone says how well the classifier copes with the fill: an insertion AUC of 0.6 may be chance.

    References:
        Petsiuk, Das, Saenko, «RISE: randomized input sampling for explanation of black-box models», BMVC 2018, for the
        two areas.
    """

    name = "insertion_minus_deletion"
    higher_is_better = True
    bounds = (-1.0, 1.0)
    citation = "Petsiuk, Das, Saenko, BMVC 2018"

    def _area(self, curves: PerturbationCurves) -> Tensor:
        return torch.trapezoid(curves.insertion - curves.deletion, curves.fractions)
