"""Does the map change when another output is to be explained?"""

from abc import abstractmethod

import torch
from torch import Tensor

from ...datasets import Case, CaseBatch
from .answers import all_scores, scoring_generator
from .context import ScoringContext
from .metric import Metric, installed
from .similarity import rank_similarity


class OtherOutputMetric(Metric):
    """Base of the metrics that compare the map for the target with the map for another output.

    The maps are compared by Spearman's rank correlation. The score is 1 where both maps rank all pixels alike: such an
    explainer does not answer the question that was asked. It is 0 where nothing speaks for the other output, that is,
    where its map is empty. Chance, 0, is the similarity of unrelated maps. Applies where there are two outputs or more.
    """

    higher_is_better = False
    bounds = (-1.0, 1.0)
    needs = frozenset({"attribution", "explainer"})

    @property
    def library(self) -> str:
        """SciPy and its version."""
        return installed("scipy")

    @property
    def params(self) -> dict[str, object]:
        """How maps are compared."""
        return {"similarity": "spearman"}

    def applicable(self, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        """Cases with another output: bool (B,)."""
        return torch.tensor([len(case.sample.outputs) > 1 for case in batch.cases])

    def chance(self, batch: CaseBatch, *, context: ScoringContext | None = None) -> Tensor:
        """Rank correlation of unrelated maps.

        Args:
            batch: B cases.
            context: Not used.

        Returns:
            float64 (B,), 0.
        """
        return torch.zeros(len(batch.cases), dtype=torch.float64)

    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        others = torch.tensor([self._other_output(case, context=context) for case in batch.cases])
        regions = torch.stack([_region_of(case, int(other)) for case, other in zip(batch.cases, others, strict=True)])
        found = context.explained(batch.images, others, gt_masks=regions)
        return rank_similarity(maps, found.maps)

    @abstractmethod
    def _other_output(self, case: Case, *, context: ScoringContext) -> int:
        """The output that is explained instead of the target."""


class WrongTargetSimilarity(OtherOutputMetric):
    """Similarity of the map for the target and the map for its strongest rival among the other outputs.

    The rival is the output with the highest score besides the target: where two findings are present, usually the other
    finding, whose evidence lies elsewhere. Outputs that share evidence (two shades of one lesion) rightly have similar
    maps, so that the score compares explainers on the same data and has no ideal value of its own.

    References:
        Defined here, after the random logit test of Sixt, Granz, Landgraf, «When explanations lie», ICML 2020.
    """

    name = "wrong_target_similarity"
    family = "target specificity"
    needs = frozenset({"attribution", "classifier", "explainer"})
    citation = "xaibench 2026; after Sixt, Granz, Landgraf, ICML 2020"

    @property
    def passes(self) -> str:
        """An explanation and the pass that finds the rival."""
        return "1 explanation, 1 forward"

    def _other_output(self, case: Case, *, context: ScoringContext) -> int:
        scores = all_scores(case, classifier=context.classifier)
        scores[case.target] = -torch.inf
        return int(scores.argmax())


class RandomLogit(OtherOutputMetric):
    """Similarity of the map for the target and the map for another output drawn at random.

    The draw belongs to the case and is the same for every explainer. Deviates from the paper, which compares by the
    structural similarity index: ranks do not depend on how a map is scaled.

    References:
        Sixt, Granz, Landgraf, «When explanations lie: why many modified BP attributions fail», ICML 2020.
    """

    name = "random_logit"
    family = "randomization"
    citation = "Sixt, Granz, Landgraf, ICML 2020"

    @property
    def passes(self) -> str:
        """An explanation."""
        return "1 explanation"

    def _other_output(self, case: Case, *, context: ScoringContext) -> int:
        n_others = len(case.sample.outputs) - 1
        drawn = int(torch.randint(n_others, (), generator=scoring_generator(case, purpose="random logit")))
        return drawn + (drawn >= case.target)


def _region_of(case: Case, output: int) -> Tensor:
    masks = case.sample.gt_masks
    return torch.zeros(case.sample.image.shape[-2:], dtype=torch.bool) if masks is None else masks[output]
