"""LIME and KernelSHAP: a linear model of what happens when superpixels are hidden."""

from abc import abstractmethod

import numpy as np
import torch
from skimage.segmentation import slic
from torch import Tensor

from ..checks import positive
from ..classifiers import Classifier
from ..explainer import Explainer
from ..pass_size import PassSize
from ..randomness import case_seed

_LIME_KERNEL_WIDTH = 0.25
_LIME_RIDGE = 1.0


def superpixels(image: Tensor, *, segments: int) -> Tensor:
    """Segments of similar colour by SLIC.

    Args:
        image: float32 (C, H, W) in [0, 1].
        segments: About how many.

    Returns:
        int64 (H, W), 0 to S - 1, on the image's device.

    References:
        Achanta et al., TPAMI 2012, as implemented in scikit-image.
    """
    pixels = image.permute(1, 2, 0).cpu().numpy()
    found = slic(pixels, n_segments=segments, compactness=10.0, start_label=0, channel_axis=-1, convert2lab=False)
    _, labels = np.unique(found, return_inverse=True)
    return torch.from_numpy(labels.reshape(found.shape)).to(torch.int64).to(image.device)


class SuperpixelExplainer(Explainer):
    """Base: superpixels are hidden in random coalitions, and the logits explained by who was present."""

    family = "perturbation"
    passes = "2 + samples forward"
    is_random = True

    def __init__(
        self,
        classifier: Classifier,
        *,
        segments: int = 50,
        samples: int = 512,
        images_per_pass: int = 32,
        seed: int = 0,
    ) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            segments: Superpixels per image, about.
            samples: Random coalitions per image.
            images_per_pass: Images with hidden superpixels per pass; bounds memory.
            seed: As for every explainer.
        """
        super().__init__(classifier, seed=seed)
        self.segments, self.samples = positive("segments", segments), positive("samples", samples)
        self._passes = PassSize(positive("images_per_pass", images_per_pass), owner=type(self).__name__)

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        return torch.stack(
            [self._map(image, target) for image, target in zip(images, targets.tolist(), strict=True)]
        ).float()

    @torch.no_grad()
    def _map(self, image: Tensor, target: int) -> Tensor:
        labels = superpixels(image, segments=self.segments)
        n_segments = int(labels.max()) + 1
        generator = torch.Generator().manual_seed(case_seed(self.seed, image, target))
        drawn = self._coalitions(n_segments, generator)
        coalitions = torch.cat([torch.ones(1, n_segments), torch.zeros(1, n_segments), drawn])
        mean_color = self.classifier.mean_color(image[None])

        def logits(part: slice) -> Tensor:
            shown = coalitions[part].to(image.device)[:, labels]
            result: Tensor = self.classifier(mean_color + (image - mean_color) * shown[:, None])[:, target]
            return result

        responses = torch.cat(self._passes.in_parts(logits, total=len(coalitions))).double().cpu()
        return self._coefficients(coalitions.double(), responses).to(image.device)[labels]

    @abstractmethod
    def _coalitions(self, n_segments: int, generator: torch.Generator) -> Tensor:
        """Who is present, float32 (samples, S) of 0 and 1."""

    @abstractmethod
    def _coefficients(self, coalitions: Tensor, responses: Tensor) -> Tensor:
        """What each superpixel adds (S,).

        Args:
            coalitions: float64 (2 + samples, S); the first has everybody, the second nobody.
            responses: float64 (2 + samples,), the target's logits.
        """


class LimeExplainer(SuperpixelExplainer):
    """Coefficients of a ridge regression on random halves of the superpixels, weighted by closeness to the image.

    References:
        Ribeiro, Singh, Guestrin, KDD 2016, equation 1 and section 3.4: cosine distance between coalitions, exponential
        kernel of width 0.25, ridge penalty 1; all superpixels are kept. Hidden pixels have mean colour.
    """

    citation = "Ribeiro, Singh, Guestrin, KDD 2016"

    def _coalitions(self, n_segments: int, generator: torch.Generator) -> Tensor:
        return (torch.rand(self.samples, n_segments, generator=generator) < 0.5).float()

    def _coefficients(self, coalitions: Tensor, responses: Tensor) -> Tensor:
        # Cosine between a coalition and everybody; that of nobody counts as 0.
        similarity = (coalitions.sum(dim=1) / coalitions.shape[1]).sqrt()
        weights = torch.exp(-((1 - similarity) ** 2) / _LIME_KERNEL_WIDTH**2)
        centred = coalitions - (weights[:, None] * coalitions).sum(dim=0) / weights.sum()
        offsets = responses - (weights * responses).sum() / weights.sum()
        normal = centred.T @ (weights[:, None] * centred) + _LIME_RIDGE * torch.eye(coalitions.shape[1]).double()
        solution: Tensor = torch.linalg.solve(normal, centred.T @ (weights * offsets))
        return solution


class KernelShapExplainer(SuperpixelExplainer):
    """Shapley values of the superpixels, by weighted regression on coalitions drawn with the Shapley kernel.

    References:
        Lundberg, Lee, NeurIPS 2017, theorem 2; coalitions are drawn in complementary pairs (Covert, Lee, AISTATS 2021),
        and the values sum to the change of the logit exactly. Hidden pixels have mean colour.
    """

    citation = "Lundberg, Lee, NeurIPS 2017"

    def _coalitions(self, n_segments: int, generator: torch.Generator) -> Tensor:
        if n_segments == 1:
            return torch.zeros(0, 1)
        sizes = torch.arange(1, n_segments, dtype=torch.float64)
        n_pairs = -(-self.samples // 2)
        drawn = (
            torch.multinomial(1 / (sizes * (n_segments - sizes)), n_pairs, replacement=True, generator=generator) + 1
        )
        ranks = torch.rand(n_pairs, n_segments, generator=generator).argsort(dim=1).argsort(dim=1)
        present = (ranks < drawn[:, None]).float()
        return torch.stack([present, 1 - present], dim=1).flatten(0, 1)[: self.samples]

    def _coefficients(self, coalitions: Tensor, responses: Tensor) -> Tensor:
        change = responses[0] - responses[1]
        present, gains = coalitions[2:], responses[2:] - responses[1]
        if not len(present):  # one superpixel
            return change[None]
        # The last value is what the others leave of the change; so it drops out of the regression.
        last = present[:, -1]
        free = present[:, :-1] - last[:, None]
        values = torch.linalg.lstsq(free, (gains - last * change)[:, None], driver="gelsd").solution[:, 0]
        return torch.cat([values, (change - values.sum())[None]])
