"""Does the relevance add up to what the image adds to the answer?"""

import torch
from torch import Tensor

from ...datasets import CaseBatch, InputError
from ...explainers import EXPLAINERS, Classifier
from .context import ScoringContext
from .metric import Metric, installed


class Completeness(Metric):
    """Gap between the sum of the raw map and the change of the logit from mean colour to the image.

    With s the sum of the raw, signed map and d the change of the target's logit (regression: of the output), the score
    is |s - d| / (|s| + |d|): 0 where relevance is accounted for to the last bit, 1 where it has nothing to do with the
    change. Applies to explainers that promise completeness with mean colour as the baseline and add up their channels;
    for the others a sum of relevance has no meaning. Signs and scale matter, so that the raw map is scored.

    Deviates from Quantus, which asks for exact equality of floating-point numbers.

    References:
        Sundararajan, Taly, Yan, «Axiomatic attribution for deep networks», ICML 2017, proposition 1.
    """

    name = "completeness"
    family = "axiomatic"
    higher_is_better = False
    bounds = (0.0, 1.0)
    needs = frozenset({"attribution", "classifier", "explainer"})
    citation = "Sundararajan, Taly, Yan, ICML 2017"

    def __init__(self, *, explainers: tuple[str, ...] = ("integrated_gradients", "deep_lift")) -> None:
        """Say who promises completeness.

        Args:
            explainers: Names in the catalog of explainers; names that are not there yet do no harm.
        """
        if not explainers:
            raise InputError("explainers is empty; wanted at least one name of the catalog of explainers")
        self.explainers = explainers

    @property
    def library(self) -> str:
        """PyTorch and its version."""
        return installed("torch")

    @property
    def params(self) -> dict[str, object]:
        """Who promises completeness."""
        return {"explainers": list(self.explainers)}

    @property
    def passes(self) -> str:
        """The image and its baseline."""
        return "2 forward"

    def applicable(self, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        """All cases or none, as the explainer promises: bool (B,)."""
        explainer = context.explainer
        promised = [EXPLAINERS.get(name) for name in self.explainers if name in EXPLAINERS]
        adds_up = getattr(explainer, "channel_reduction", "sum") == "sum"
        return torch.full((len(batch.cases),), type(explainer) in promised and adds_up)

    def chance(self, batch: CaseBatch, *, context: ScoringContext | None = None) -> Tensor:
        """Undefined: a map that knows nothing has no scale of its own.

        Args:
            batch: B cases.
            context: Not used.

        Returns:
            float64 (B,), NaN.
        """
        return torch.full((len(batch.cases),), torch.nan, dtype=torch.float64)

    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        sums = context.attribution.double().cpu().sum(dim=(1, 2))
        pairs = zip(batch.images, batch.targets.tolist(), strict=True)
        changes = torch.tensor([_logit_change(image, target, classifier=context.classifier) for image, target in pairs])
        size = sums.abs() + changes.abs()
        return torch.where(size > 0, (sums - changes).abs() / size, 0.0)


def _logit_change(image: Tensor, target: int, *, classifier: Classifier) -> float:
    one = image[None].to(classifier.device)
    with torch.no_grad():
        logits = classifier.logits(torch.cat([one, classifier.mean_color(one)]))[:, target]
    return float(logits[0] - logits[1])
