"""Does the map stay as it is when the image changes by too little to see?"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from ...datasets import CaseBatch, InputError
from .answers import scoring_generator
from .context import ScoringContext, content
from .faithfulness import at_least_one
from .metric import Metric, installed


@dataclass(frozen=True, kw_only=True)
class Disturbances:
    """What became of the maps of slightly changed images.

    Attributes:
        map_changes: float64 (B, S), L2 norm of the change of the prepared map, per sample.
        image_changes: float64 (B, S), L2 norm of the change of the image.
        map_norms: float64 (B,), L2 norm of the prepared map.
    """

    map_changes: Tensor
    image_changes: Tensor
    map_norms: Tensor


def disturbances(
    maps: Tensor, batch: CaseBatch, *, context: ScoringContext, radius: float, samples: int
) -> Disturbances:
    """Explain every image again under noise: ``samples`` explanations a case, whichever metrics read them.

    Noise is uniform in [-radius, radius] per pixel and channel, drawn from the content of the case, and the image stays
    in [0, 1]. An empty map of a changed image counts as all zeros.
    """

    def compute() -> Disturbances:
        generators = [scoring_generator(case, purpose="robustness") for case in batch.cases]
        map_changes, image_changes = [], []
        for _ in range(samples):
            noise = torch.stack([torch.rand(batch.images[0].shape, generator=generator) for generator in generators])
            changed = (batch.images.cpu() + radius * (2 * noise - 1)).clamp(0, 1)
            found = context.explained(changed, batch.targets, gt_masks=batch.gt_masks).maps
            map_changes.append((found - maps).double().flatten(1).norm(dim=1))
            image_changes.append((changed - batch.images.cpu()).double().flatten(1).norm(dim=1))
        return Disturbances(
            map_changes=torch.stack(map_changes, dim=1),
            image_changes=torch.stack(image_changes, dim=1),
            map_norms=maps.double().flatten(1).norm(dim=1),
        )

    return context.once("disturbances", compute, settings=[radius, samples], tensors=content(maps, batch))


class RobustnessMetric(Metric):
    """Base of the metrics that explain slightly changed images; the three share their explanations.

    Prepared maps are compared, so that the scale of a method does not matter. Chance is undefined: a map that knows
    nothing of the image is perfectly robust if it is constant, and not at all if it is noise. Read beside the controls.

    Deviates from Quantus in drawing noise per case, the same for every explainer, and in counting samples in which the
    prediction changes: at radii too small to see, a changed prediction does not excuse a changed map.
    """

    family = "robustness"
    higher_is_better = False
    bounds = (0.0, None)
    needs = frozenset({"attribution", "explainer"})

    def __init__(self, *, radius: float = 0.02, samples: int = 10) -> None:
        """Choose the change.

        Args:
            radius: Largest change of a value in [0, 1], in (0, 1).
            samples: Changed images per case, at least 1.
        """
        if not 0 < radius < 1:
            raise InputError(f"radius is {radius}; wanted a change of values in [0, 1], above 0 and below 1")
        self.radius, self.samples = radius, at_least_one("samples", samples)

    @property
    def library(self) -> str:
        """PyTorch and its version."""
        return installed("torch")

    @property
    def params(self) -> dict[str, object]:
        """Radius and number of samples."""
        return {"radius": self.radius, "samples": self.samples}

    @property
    def passes(self) -> str:
        """Explanations; the metrics of one radius share them."""
        return f"{self.samples} explanations, shared"

    def chance(self, batch: CaseBatch, *, context: ScoringContext | None = None) -> Tensor:
        """Undefined.

        Args:
            batch: B cases.
            context: Not used.

        Returns:
            float64 (B,), NaN.
        """
        return torch.full((len(batch.cases),), torch.nan, dtype=torch.float64)

    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        return self._summary(disturbances(maps, batch, context=context, radius=self.radius, samples=self.samples))

    @abstractmethod
    def _summary(self, found: Disturbances) -> Tensor:
        """The score (B,) of all samples."""


class MaxSensitivity(RobustnessMetric):
    """Largest change of the map among changed images, relative to the map.

    References:
        Yeh, Hsieh, Suggala, Inouye, Ravikumar, «On the (in)fidelity and sensitivity of explanations», NeurIPS 2019,
        definition 3.1, by sampling.
    """

    name = "max_sensitivity"
    citation = "Yeh, Hsieh, Suggala, Inouye, Ravikumar, NeurIPS 2019"

    def _summary(self, found: Disturbances) -> Tensor:
        return found.map_changes.amax(dim=1) / found.map_norms


class AverageSensitivity(RobustnessMetric):
    """Mean change of the map among changed images, relative to the map.

    References:
        Bhatt, Weller, Moura, «Evaluating and aggregating feature-based model explanations», IJCAI 2020.
    """

    name = "average_sensitivity"
    citation = "Bhatt, Weller, Moura, IJCAI 2020"

    def _summary(self, found: Disturbances) -> Tensor:
        return found.map_changes.mean(dim=1) / found.map_norms


class LocalLipschitz(RobustnessMetric):
    """Largest ratio of the change of the map to the change of the image, in norms over pixels.

    References:
        Alvarez-Melis, Jaakkola, «On the robustness of interpretability methods», arXiv:1806.08049, 2018, equation 2, by
        sampling.
    """

    name = "local_lipschitz"
    citation = "Alvarez-Melis, Jaakkola, arXiv:1806.08049, 2018"

    def _summary(self, found: Disturbances) -> Tensor:
        return (found.map_changes / found.image_changes).amax(dim=1)
