"""RISE: the mean of random masks, weighted by the score that is left."""

import torch
from torch import Tensor

from ..checks import positive, share
from ..classifiers import Classifier
from ..explainer import Explainer
from ..pass_size import PassSize
from ..randomness import case_seed
from .random_masks import RandomMasks, mask_moments


class RandomMaskExplainer(Explainer):
    """Base of the explainers that show the classifier an image behind random masks."""

    family = "perturbation"
    passes = "masks forward"
    is_random = True

    def __init__(
        self,
        classifier: Classifier,
        *,
        masks: int = 4000,
        grid: int = 7,
        keep_probability: float = 0.5,
        images_per_pass: int = 32,
        seed: int = 0,
    ) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            masks: Random masks per image.
            grid: Cells of a mask per image side.
            keep_probability: Of a cell being shown, more than 0 and less than 1.
            images_per_pass: Masked images per pass; bounds memory.
            seed: As for every explainer.
        """
        super().__init__(classifier, seed=seed)
        self.masks, self.grid = positive("masks", masks), positive("grid", grid)
        self.keep_probability = share("keep_probability", keep_probability)
        self._passes = PassSize(positive("images_per_pass", images_per_pass), owner=type(self).__name__)

    def _draw(self, image: Tensor, target: int) -> RandomMasks:
        generator = torch.Generator().manual_seed(case_seed(self.seed, image, target))
        return RandomMasks.draw(
            self.masks,
            (image.shape[-2], image.shape[-1]),
            grid=self.grid,
            keep_probability=self.keep_probability,
            generator=generator,
        )


class RiseExplainer(RandomMaskExplainer):
    """Random masks weighted by the target's score behind them, divided by how often a pixel is shown.

    References:
        Petsiuk, Das, Saenko, BMVC 2018, equation 6. Hidden pixels have mean colour, as zeros of the normalized image.
    """

    citation = "Petsiuk, Das, Saenko, BMVC 2018"

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        maps = []
        for image, target in zip(images, targets.tolist(), strict=True):
            moments = mask_moments(
                image,
                self._draw(image, target),
                fill=self.classifier.mean_color(image[None])[0],
                respond=lambda masked, target=target: self.classifier.scores(masked)[:, target],  # type: ignore[misc]
                passes=self._passes,
            )
            maps.append(moments[1] / self.keep_probability)
        return torch.stack(maps).float()
