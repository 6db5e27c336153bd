"""Does the map change when the classifier forgets what it has learned?"""

import itertools
from collections.abc import Iterator
from copy import deepcopy
from typing import Literal

import torch
from torch import Tensor, nn

from ...datasets import CaseBatch, fingerprint
from ...explainers import Classifier, Explainer, seeded
from .context import ScoringContext
from .faithfulness import at_least_one
from .metric import Metric, installed
from .similarity import rank_similarity

RandomizationOrder = Literal["top_down", "independent"]


class ParameterRandomization(Metric):
    """Mean similarity of the map to the maps of the same explainer for networks with re-initialized layers.

    The layers, from the output to the input, are divided into stages of equal numbers of layers. ``top_down``
    randomizes one stage after the other, so that the last network has forgotten everything; ``independent`` randomizes
    each stage in a copy of its own. The score is the mean of Spearman's rank correlation over the stages; an explainer
    that never asks the network scores 1, and an empty map of a randomized network is like nothing (0). What an
    explainer has itself learned in `fit` stays as it is. Applies where the classifier has layers that can be
    re-initialized; classifier and explainer are copied and stay as they are.

    Deviates from the paper in randomizing stages rather than single layers: a network of 50 layers would cost 50
    explanations a case.

    References:
        Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim, «Sanity checks for saliency maps», NeurIPS 2018, section 3.
    """

    name = "parameter_randomization"
    family = "randomization"
    higher_is_better = False
    bounds = (-1.0, 1.0)
    needs = frozenset({"attribution", "explainer"})
    citation = "Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim, NeurIPS 2018"

    def __init__(self, *, order: RandomizationOrder = "top_down", stages: int = 4) -> None:
        """Choose what is randomized.

        Args:
            order: ``top_down`` (cascading) or ``independent``.
            stages: Groups of layers, at least 1; no more than there are layers.
        """
        self.order: RandomizationOrder = order
        self.stages = at_least_one("stages", stages)

    @property
    def library(self) -> str:
        """SciPy, which ranks, and its version."""
        return installed("scipy")

    @property
    def params(self) -> dict[str, object]:
        """Order, stages and how maps are compared."""
        return {"order": self.order, "stages": self.stages, "similarity": "spearman"}

    @property
    def passes(self) -> str:
        """An explanation per stage."""
        return f"{self.stages} explanations"

    def applicable(self, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        """All cases, or none where no layer can be re-initialized: bool (B,)."""
        return torch.full((len(batch.cases),), bool(layers_of(context.explainer.classifier)))

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
        similarities = [
            rank_similarity(
                maps, context.explained(batch.images, batch.targets, gt_masks=batch.gt_masks, explainer=other).maps
            )
            for other in randomized(context.explainer, order=self.order, stages=self.stages)
        ]
        return torch.stack(similarities).mean(dim=0)


def randomized(explainer: Explainer, *, order: RandomizationOrder, stages: int) -> Iterator[Explainer]:
    """The same explainer for ever more (or other) randomized copies of its classifier.

    Yields:
        Explainers bound to copies; with ``top_down`` the same object, randomized further each time.
    """
    current = deepcopy(explainer)
    for stage in range(len(stages_of(explainer.classifier, stages=stages))):
        if order == "independent":
            current = deepcopy(explainer)
        _reset(stages_of(current.classifier, stages=stages)[stage])
        yield current


def layers_of(classifier: Classifier) -> list[tuple[str, nn.Module]]:
    """Layers that can be re-initialized, with their names, from the output to the input as the module defines them."""
    found = [(name, layer) for name, layer in classifier.named_modules() if hasattr(layer, "reset_parameters")]
    return [(name, layer) for name, layer in found if any(True for _ in layer.parameters(recurse=False))][::-1]


def stages_of(classifier: Classifier, *, stages: int) -> list[list[tuple[str, nn.Module]]]:
    """The layers, at least one, in groups whose sizes differ by one at most, from the output to the input."""
    layers = layers_of(classifier)
    count = min(stages, len(layers))
    ends = [round(len(layers) * stage / count) for stage in range(count + 1)]
    return [layers[start:stop] for start, stop in itertools.pairwise(ends)]


def _reset(layers: list[tuple[str, nn.Module]]) -> None:
    for name, layer in layers:
        # By name: a layer forgets alike in every order and at every number of stages.
        with seeded(int(fingerprint(["parameter randomization", name])[:8], 16)):
            layer.reset_parameters()  # type: ignore[operator]
