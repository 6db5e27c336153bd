"""What is left of the answer when the most relevant pixels are replaced by what their neighbours tell?"""

import torch
from torch import Tensor

from ...datasets import Case, CaseBatch, InputError, Task
from ...explainers import Classifier
from .answers import retained, scoring_generator, target_scores
from .context import ScoringContext
from .faithfulness import FaithfulnessMetric, shares
from .imputation import linear_imputation
from .ranking import places_of, ranked_pixels

_NOISE = 0.01


class Road(FaithfulnessMetric):
    """Remove and debias: the mean answer after noisy linear imputation of the most relevant pixels.

    Imputation takes information out of an image without the sharp edges of a fill, from which a classifier may read the
    shape of the mask itself. For regression the answer is what is `retained` of the change that mean colour makes.

    Deviates from the paper, which averages whether the classifier is still right: the probability says the same with
    less noise, and says it of every case. The noise (standard deviation 0.01) belongs to the case.

    References:
        Rong, Leemann, Borisov, Kasneci, Kasneci, «A consistent and efficient evaluation strategy for attribution
        methods», ICML 2022.
    """

    name = "road"
    higher_is_better = False
    bounds = (0.0, 1.0)
    citation = "Rong, Leemann, Borisov, Kasneci, Kasneci, ICML 2022"

    def __init__(self, *, fractions: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)) -> None:
        """Choose how much is removed.

        Args:
            fractions: Shares of the pixels, each in (0, 1); the score is the mean over them.
        """
        super().__init__()
        if 1.0 in fractions:
            raise InputError("fractions has 1.0; wanted less, since a pixel without known neighbours cannot be imputed")
        self.fractions = shares("fractions", fractions)

    @property
    def params(self) -> dict[str, object]:
        """The shares; there is no fill."""
        return {"fractions": list(self.fractions)}

    @property
    def passes(self) -> str:
        """A pass per share, and the two ends."""
        return f"{len(self.fractions) + 2} forward"

    def applicable(self, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        """All cases of probabilities; of a regression those whose value mean colour lowers: bool (B,).

        No fill takes the place of pixels here, but answers of a regression are read as shares of what one changes.
        """
        if context.classifier.task is Task.REGRESSION:
            return super().applicable(batch, context=context)
        return torch.ones(len(batch.cases), dtype=torch.bool)

    def _score_case(self, values: Tensor, case: Case, *, classifier: Classifier) -> float:
        image = case.sample.image.to(classifier.device)
        places = places_of(ranked_pixels(values, case=case))
        # At least one pixel stays known, also in the tiniest image.
        counts = [min(round(share * len(places)), len(places) - 1) for share in self.fractions]
        missing = (places < torch.tensor(counts, device=places.device)[:, None]).view(-1, *values.shape)
        noise = torch.randn(missing.shape[0], *image.shape, generator=scoring_generator(case, purpose="road"))
        imputed = linear_imputation(image, missing) + _NOISE * noise.to(image.device) * missing[:, None]
        ends = torch.stack([image, classifier.mean.expand(1, *image.shape)[0]])
        scores = target_scores(torch.cat([ends, imputed.clamp(0, 1)]), case=case, classifier=classifier)
        answers = retained(scores[2:], full=scores[0], empty=scores[1], task=classifier.task)
        return float(answers.mean())
