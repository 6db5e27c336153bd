"""How fast does the answer go when superpixels go, the most relevant first?"""

from typing import Any

import numpy as np
import torch
from skimage.segmentation import slic
from torch import Tensor

from ...datasets import Case
from ...explainers import Classifier
from ...explainers.fills import FillName
from .faithfulness import FaithfulnessMetric, at_least_one
from .metric import installed
from .ranking import places_of, ranked_pixels


class Irof(FaithfulnessMetric):
    """Area over the answer, relative to the first one, while superpixels are removed (iterative removal of features).

    Superpixels (SLIC) are removed in the order of their mean relevance, tied ones in a random order that belongs to the
    case. The area is taken over the share of superpixels, so that 1 means that the first removal takes everything and 0
    that nothing is ever lost; below 0 the answer grows.

    Deviates from Quantus, whose area grows with the number of superpixels.

    References:
        Rieger, Hansen, «IROF: a low resource evaluation metric for explanation methods», arXiv:2003.08747, 2020.
    """

    name = "irof"
    higher_is_better = True
    # The first answer is more than a tenth, or the case is not applicable.
    bounds = (-9.0, 1.0)
    citation = "Rieger, Hansen, arXiv:2003.08747, 2020"

    def __init__(self, *, fill: FillName = "mean", segments: int = 100) -> None:
        """Choose the superpixels.

        Args:
            fill: As for every faithfulness metric.
            segments: Superpixels that SLIC is asked for, at least 1; it may find fewer.
        """
        super().__init__(fill=fill)
        self.segments = at_least_one("segments", segments)

    @property
    def library(self) -> str:
        """scikit-image, which finds the superpixels, and its version."""
        return installed("scikit-image")

    @property
    def params(self) -> dict[str, object]:
        """Fill and superpixels."""
        return {**super().params, "segments": self.segments}

    @property
    def passes(self) -> str:
        """A pass per superpixel, and the image."""
        return f"about {self.segments + 1} forward"

    def _score_case(self, values: Tensor, case: Case, *, classifier: Classifier) -> float:
        segments = superpixels(case.sample.image, n_segments=self.segments)
        # On the CPU: sums by index come in no fixed order on a GPU.
        sums = segments.flatten().bincount(weights=values.flatten().double().cpu())
        places = places_of(ranked_pixels((sums / segments.flatten().bincount())[None], case=case))
        levels = torch.arange(1, len(places) + 1)
        keep = places[segments] >= levels[:, None, None]
        answers = self._answers(keep.to(values.device), case, classifier=classifier)
        return 1 - float(torch.trapezoid(answers / answers[0], dx=1 / len(places)))


def superpixels(image: Tensor, *, n_segments: int) -> Tensor:
    """SLIC superpixels of an image.

    Args:
        image: float32 (C, H, W) in [0, 1].
        n_segments: How many are asked for.

    Returns:
        int64 (H, W), labels from 0 without gaps.

    References:
        Achanta, Shaji, Smith, Lucchi, Fua, Süsstrunk, «SLIC superpixels compared to state-of-the-art superpixel
        methods», TPAMI 2012.
    """
    pixels: Any = image.permute(1, 2, 0).double().cpu().numpy()
    # The conversion to CIELAB is defined for three channels alone.
    found = slic(pixels, n_segments=n_segments, start_label=0, channel_axis=2, convert2lab=len(image) == 3)
    _, labels = np.unique(found, return_inverse=True)
    return torch.from_numpy(labels.reshape(found.shape))
