"""FastSHAP: a network that gives Shapley values in one pass."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from ...datasets import InputError
from ..checks import positive
from ..classifiers import Classifier
from ..fitted import FitRequest, FittedExplainer
from .map_network import MapNetwork, common_settings, network_tensors, restored, train_map_network


class FastShapExplainer(FittedExplainer):
    """Shapley values of the cells of a grid, for all outputs at once, from a network trained on random coalitions.

    References:
        Jethani et al., ICLR 2022, sections 3.1 and 3.2 (the values of all cells sum to the change of the score).
        Deviates from the paper: the classifier itself answers for images with hidden cells, in mean colour, in the
        place of a surrogate trained for them; a smaller network.
    """

    family = "amortized"
    citation = "Jethani et al., ICLR 2022"
    passes = "2 forward, 1 of a small network"
    format_name = "xaibench fastshap network"

    def __init__(
        self,
        classifier: Classifier,
        *,
        steps: int = 1000,
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        width: int = 24,
        grid: int = 8,
        coalitions: int = 4,
        seed: int = 0,
    ) -> None:
        """Bind an unfitted explainer to a classifier.

        Args:
            classifier: What is explained.
            steps: Optimizer steps.
            batch_size: Images per step.
            learning_rate: Peak of the one-cycle schedule of AdamW.
            width: Channels of the network's first layer.
            grid: Cells per image side, at least 2.
            coalitions: Random coalitions per image and step, in complementary pairs; even.
            seed: Seed of initial weights and training.
        """
        super().__init__(classifier, seed=seed)
        self.steps, self.batch_size = positive("steps", steps), positive("batch_size", batch_size)
        self.width, self.learning_rate = positive("width", width), learning_rate
        if grid < 2:
            raise InputError(f"grid is {grid}; wanted at least 2")
        if coalitions < 2 or coalitions % 2:
            raise InputError(f"coalitions is {coalitions}; wanted an even number, at least 2")
        self.grid, self.coalitions = grid, coalitions

    def _settings(self) -> dict[str, Any]:
        return {**common_settings(self), "grid": self.grid, "coalitions": self.coalitions}

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        self._network = restored(self.classifier, tensors, width=self.width)

    def _fit(self, request: FitRequest) -> tuple[dict[str, Tensor], dict[str, Any]]:
        network = MapNetwork(self.classifier, width=self.width).to(self.classifier.device)
        generator = torch.Generator().manual_seed(self.seed)

        def loss(images: Tensor) -> Tensor:
            shown = shapley_coalitions(len(images), self.coalitions, cells=self.grid**2, generator=generator)
            shown = shown.to(images.device)
            whole, nobody, some = self._scores(images, shown)
            values = self._values(network(images), whole - nobody)
            predicted = torch.einsum("bnc,bkc->bnk", shown, values)
            return (some - nobody[:, None] - predicted).square().mean()

        curve = train_map_network(
            network,
            loss,
            request.dataset,
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            seed=self.seed,
            progress=request.progress,
        )
        passes = self.steps * self.batch_size * (self.coalitions + 2)
        return network_tensors(network), {"curve": curve, "fit_forward_passes": passes}

    @torch.no_grad()
    def _scores(self, images: Tensor, shown: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of whole images, of none and of coalitions: (B, K), (B, K), (B, n, K)."""
        n_images, n_coalitions = shown.shape[:2]
        mean_color = self.classifier.mean_color(images)
        cells = shown.reshape(n_images * n_coalitions, 1, self.grid, self.grid)
        masks = interpolate(cells, size=images.shape[-2:], mode="nearest").reshape(
            n_images, n_coalitions, 1, *images.shape[-2:]
        )
        hidden = mean_color[:, None] + (images - mean_color)[:, None] * masks
        some = self.classifier.scores(hidden.flatten(0, 1)).reshape(n_images, n_coalitions, -1)
        return self.classifier.scores(images), self.classifier.scores(mean_color), some

    def _values(self, maps: Tensor, change: Tensor) -> Tensor:
        """Values of the cells (B, K, cells), which sum to the change of the score: the rest is shared out evenly."""
        values = adaptive_avg_pool2d(maps, self.grid).flatten(2)
        rest = change - values.sum(dim=2)
        return values + rest[:, :, None] / values.shape[2]

    @torch.no_grad()
    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        if self._tensors is None:
            raise self._not_fitted()
        change = self.classifier.scores(images) - self.classifier.scores(self.classifier.mean_color(images))
        values = self._values(self._network(images), change)
        own = values[torch.arange(len(images), device=images.device), targets]
        cells = own.reshape(-1, 1, self.grid, self.grid)
        return interpolate(cells, size=images.shape[-2:], mode="nearest")[:, 0].float()


def shapley_coalitions(n_images: int, n_coalitions: int, *, cells: int, generator: torch.Generator) -> Tensor:
    """Coalitions drawn with the Shapley kernel, in complementary pairs.

    Args:
        n_images: B.
        n_coalitions: n per image, even.
        cells: d, at least 2.
        generator: On the CPU.

    Returns:
        float32 (B, n, d) of 0 and 1, neither empty nor full.
    """
    n_pairs = n_images * n_coalitions // 2
    sizes = torch.arange(1, cells, dtype=torch.float64)
    kernel = 1 / (sizes * (cells - sizes))
    drawn = torch.multinomial(kernel, n_pairs, replacement=True, generator=generator) + 1
    ranks = torch.rand(n_pairs, cells, generator=generator).argsort(dim=1).argsort(dim=1)
    present = (ranks < drawn[:, None]).float()
    return torch.stack([present, 1 - present], dim=1).reshape(n_images, n_coalitions, cells)
