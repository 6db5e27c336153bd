"""Does the relevance of a patch say what removing the patch costs?"""

import torch
from torch import Tensor

from ...datasets import Case, InputError
from ...explainers import Classifier
from ...explainers.fills import FillName
from .answers import scoring_generator
from .faithfulness import FaithfulnessMetric, at_least_one


class Infidelity(FaithfulnessMetric):
    """Squared error of the relevance of square patches as a forecast of what removing each patch costs.

    With a the relevance of a patch and b the drop of the answer without it, E[(β·a - b)²] / E[b²] under the best scale
    β = E[a·b] / E[a²]: 0 for a perfect forecast up to scale, 1 for one that is worth nothing. Where no patch makes a
    difference there is nothing to forecast, and the score is 1.

    Deviates from the paper, which takes the explanation's own scale (maps that are compared here have none) and weighs
    relevance by the change of each pixel's value rather than by its absence.

    References:
        Yeh, Hsieh, Suggala, Inouye, Ravikumar, «On the (in)fidelity and sensitivity of explanations», NeurIPS 2019,
        definition 2.1 with square removal (section 2.3).
    """

    name = "infidelity"
    higher_is_better = False
    bounds = (0.0, 1.0)
    citation = "Yeh, Hsieh, Suggala, Inouye, Ravikumar, NeurIPS 2019"

    def __init__(self, *, fill: FillName = "mean", patch_side: float = 0.2, patches: int = 64) -> None:
        """Choose the patches.

        Args:
            fill: As for every faithfulness metric.
            patch_side: Side of a patch as a share of the image's shorter side, in (0, 1); at least one pixel.
            patches: Number of patches, at places drawn per case, the same for every explainer; at least 1.
        """
        super().__init__(fill=fill)
        if not 0 < patch_side < 1:
            raise InputError(f"patch_side is {patch_side}; wanted a share of the image's side, above 0 and below 1")
        self.patch_side, self.patches = patch_side, at_least_one("patches", patches)

    @property
    def params(self) -> dict[str, object]:
        """Fill and patches."""
        return {**super().params, "patch_side": self.patch_side, "patches": self.patches}

    @property
    def passes(self) -> str:
        """A pass per patch, and the two ends."""
        return f"{self.patches + 2} forward"

    def _score_case(self, values: Tensor, case: Case, *, classifier: Classifier) -> float:
        patches = self._drawn(values.shape, case).to(values.device)
        answers = self._answers(~patches, case, classifier=classifier)
        drops = answers[0] - answers[1:]
        relevance = patches.flatten(1).double().cpu() @ values.flatten().double().cpu()
        # Maps are not negative: a scale below 0, by which an anti-map would be a perfect one, is not to be had.
        explained = max(0.0, float(relevance @ drops))
        power = float(relevance @ relevance) * float(drops @ drops)
        # E[(β·a - b)²] / E[b²] = 1 - E[a·b]² / (E[a²] E[b²]); it is 1 also where β = 0 is as good as any.
        return 1.0 if power == 0 else min(1.0, max(0.0, 1 - explained**2 / power))

    def _drawn(self, size: torch.Size, case: Case) -> Tensor:
        """The patches, bool (n, H, W)."""
        generator = scoring_generator(case, purpose="infidelity")
        height, width = size
        side = max(1, round(self.patch_side * min(height, width)))
        tops = torch.randint(height - side + 1, (self.patches, 1, 1), generator=generator)
        lefts = torch.randint(width - side + 1, (self.patches, 1, 1), generator=generator)
        rows, columns = torch.arange(height)[:, None], torch.arange(width)
        return (rows >= tops) & (rows < tops + side) & (columns >= lefts) & (columns < lefts + side)
