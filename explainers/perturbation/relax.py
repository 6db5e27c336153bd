"""RELAX: which pixels decide where an image lies in the space of embeddings."""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ...datasets import InputError
from ..classifiers import Classifier
from .random_masks import mask_moments
from .rise import RandomMaskExplainer


class RelaxExplainer(RandomMaskExplainer):
    """Random masks weighted by the similarity of the masked image's embedding to the image's own; needs no labels.

    References:
        Wickstrøm et al., IJCV 2023, with cosine similarity and masks as in RISE. Similarities are averaged with the
        masks as weights: divided by how often a pixel was shown, not by the number of masks.
    """

    citation = "Wickstrøm et al., IJCV 2023"
    passes = "1 + masks forward"
    ignores_target = True

    def __init__(
        self,
        classifier: Classifier,
        *,
        masks: int = 3000,
        grid: int = 7,
        keep_probability: float = 0.5,
        images_per_pass: int = 32,
        seed: int = 0,
    ) -> None:
        """Bind the explainer to a classifier; parameters as for RISE, and as many masks as in the NEM-U paper."""
        super().__init__(
            classifier,
            masks=masks,
            grid=grid,
            keep_probability=keep_probability,
            images_per_pass=images_per_pass,
            seed=seed,
        )

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        return torch.stack([self._importance_and_uncertainty(image)[0] for image in images]).float()

    def _importance_and_uncertainty(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted mean of the similarities, and their weighted variance about it: (H, W) each."""
        with torch.no_grad():
            own = self.classifier.embedding(image[None])

        def similarity(masked: Tensor) -> Tensor:
            return cosine_similarity(self.classifier.embedding(masked), own, dim=1)

        moments = mask_moments(
            image,
            self._draw(image, 0),  # the same masks for every target, which does not matter here
            fill=self.classifier.mean_color(image[None])[0],
            respond=similarity,
            passes=self._passes,
        )
        shown = moments[0].clamp(min=1e-12)
        importance = moments[1] / shown
        return importance, (moments[2] / shown - importance.square()).clamp(min=0)


class UncertainRelaxExplainer(RelaxExplainer):
    """RELAX, with the pixels set to zero whose importance is the most uncertain.

    References:
        Wickstrøm et al., IJCV 2023, section on uncertainty (U-RELAX). The threshold is a quantile of the map's own
        uncertainties, by default their median.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        masks: int = 3000,
        grid: int = 7,
        keep_probability: float = 0.5,
        certain_share: float = 0.5,
        images_per_pass: int = 32,
        seed: int = 0,
    ) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            masks: As for RELAX.
            grid: As for RELAX.
            keep_probability: As for RELAX.
            certain_share: Share of the pixels that keep their importance, the most certain ones, 0 < share <= 1.
            images_per_pass: As for RELAX.
            seed: As for every explainer.
        """
        super().__init__(
            classifier,
            masks=masks,
            grid=grid,
            keep_probability=keep_probability,
            images_per_pass=images_per_pass,
            seed=seed,
        )
        if not 0 < certain_share <= 1:
            raise InputError(f"certain_share is {certain_share}; wanted more than 0 and at most 1")
        self.certain_share = certain_share

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        maps = []
        for image in images:
            importance, uncertainty = self._importance_and_uncertainty(image)
            n_kept = max(1, round(self.certain_share * uncertainty.numel()))
            threshold = uncertainty.flatten().kthvalue(n_kept).values
            maps.append(torch.where(uncertainty <= threshold, importance, torch.zeros_like(importance)))
        return torch.stack(maps).float()
