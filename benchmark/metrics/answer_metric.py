"""Base of the metrics that remove pixels under a fill and ask the classifier again."""

import torch
from torch import Tensor

from ...datasets import Case, CaseBatch, Task
from ...explainers import Classifier
from ...explainers.fills import FillName
from .answers import filled_case, target_scores
from .context import ScoringContext
from .metric import Metric, installed, subset

# Of the spread of an output of a regression; of 1 for a probability.
LEAST_FALL = 0.1


class AnswerMetric(Metric):
    """Which cases a fill can be asked about, and the score of a uniform map, which is chance.

    A map says what speaks *for* the target. Where all pixels can be removed and the classifier still answers as before
    (a plain gray is «homogeneous» to a network that looks for structures, and diseased to another one) nothing was
    taken away whose place could be asked for: such a curve shows what the outlines of removed regions draw. Nor is
    there much to take from a target that the classifier hardly sees. A case whose target falls by less than a tenth
    when all pixels are filled is therefore not applicable under that fill: a tenth of 1 for a probability, of the
    spread of the output over the dataset for a value (where that is not known, any fall will do).
    """

    family = "faithfulness"
    needs = frozenset({"attribution", "classifier"})
    fill: FillName

    @property
    def library(self) -> str:
        """PyTorch and its version."""
        return installed("torch")

    @property
    def params(self) -> dict[str, object]:
        """The fill."""
        return {"fill": self.fill}

    def applicable(self, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        """The cases whose target the fill lowers noticeably: bool (B,)."""
        classifier = context.classifier

        def compute() -> Tensor:
            return torch.tensor([_fall(case, fill=self.fill, classifier=classifier) for case in batch.cases])

        tensors = {"images": batch.images, "targets": batch.targets}
        falls = context.once_for_cases("falls of answers", compute, settings=[self.fill], tensors=tensors)
        if classifier.task is not Task.REGRESSION:
            return falls > LEAST_FALL
        spread = context.output_spread
        return falls > (0 if spread is None else LEAST_FALL * spread.cpu().double()[batch.targets])

    def chance(self, batch: CaseBatch, *, context: ScoringContext | None = None) -> Tensor:
        """Score of a uniform map, whose pixels come in a random order that belongs to the case.

        Args:
            batch: B cases.
            context: Holds the classifier.

        Returns:
            float64 (B,); NaN where the metric is not applicable.
        """
        surroundings = context or ScoringContext()
        chosen = self.applicable(batch, context=surroundings)
        scores = torch.full((len(batch.cases),), torch.nan, dtype=torch.float64)
        if bool(chosen.any()):
            uniform = torch.ones_like(batch.images[chosen][:, 0])
            scores[chosen] = self._score(uniform, subset(batch, chosen), context=surroundings.of(chosen)).double()
        return scores


def _fall(case: Case, *, fill: FillName, classifier: Classifier) -> float:
    """By how much filling the whole image lowers the answer."""
    image = case.sample.image.to(classifier.device)
    ends = torch.stack([image, filled_case(case, fill=fill, classifier=classifier)])
    full, empty = target_scores(ends, case=case, classifier=classifier).tolist()
    return float(full - empty)
