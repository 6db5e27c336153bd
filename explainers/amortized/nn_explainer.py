"""NN-Explainer: a network that gives one mask per class."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ...datasets import InputError, Task
from ..checks import positive
from ..classifiers import Classifier
from ..fitted import FitRequest, FittedExplainer
from .map_network import MapNetwork, common_settings, network_tensors, restored, train_map_network


class NnExplainer(FittedExplainer):
    """One mask per class from a network: inside it the classifier sees the class, outside it knows nothing.

    References:
        Stalder et al., NeurIPS 2022, section 3: classification of what the mask keeps, entropy of what it leaves, area
        and smoothness. Deviates from the paper: the classes explained in training are those that the classifier
        predicts, not labels; one class per image and step; no bounds on the area of single classes; a smaller network.
    """

    family = "amortized"
    citation = "Stalder et al., NeurIPS 2022"
    passes = "1 of a small network"
    format_name = "xaibench nn-explainer network"

    def __init__(
        self,
        classifier: Classifier,
        *,
        steps: int = 1000,
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        width: int = 24,
        entropy_weight: float = 1.0,
        area_weight: float = 1.0,
        variation_weight: float = 0.5,
        seed: int = 0,
    ) -> None:
        """Bind an unfitted explainer to a classifier.

        Args:
            classifier: What is explained; it must answer with classes.
            steps: Optimizer steps.
            batch_size: Images per step.
            learning_rate: Peak of the one-cycle schedule of AdamW.
            width: Channels of the network's first layer.
            entropy_weight: Of the entropy outside the mask, as a share of the largest, that is missing.
            area_weight: Of the mean of the mask.
            variation_weight: Of its mean total variation.
            seed: Seed of initial weights and training.
        """
        super().__init__(classifier, seed=seed)
        self.steps, self.batch_size = positive("steps", steps), positive("batch_size", batch_size)
        self.width, self.learning_rate = positive("width", width), learning_rate
        self.weights = {
            "entropy_weight": entropy_weight,
            "area_weight": area_weight,
            "variation_weight": variation_weight,
        }
        for name, value in self.weights.items():
            if not value >= 0:
                raise InputError(f"{name} is {value}; wanted at least 0")

    @classmethod
    def unsupported(cls, classifier: Classifier) -> str | None:
        """Entropy is a matter of classes."""
        if classifier.task is Task.REGRESSION:
            return "NN-Explainer asks for the entropy of classes; the classifier answers with regression values"
        return None

    def _settings(self) -> dict[str, Any]:
        return {**common_settings(self), **self.weights}

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        self._network = restored(self.classifier, tensors, width=self.width)

    def _fit(self, request: FitRequest) -> tuple[dict[str, Tensor], dict[str, Any]]:
        reason = self.unsupported(self.classifier)
        if reason is not None:
            raise InputError(f"{reason}; use an explainer for regression")
        network = MapNetwork(self.classifier, width=self.width).to(self.classifier.device)
        generator = torch.Generator().manual_seed(self.seed)
        self.classifier.requires_grad_(False)  # given back by the caller, as every trace of a fit
        curve = train_map_network(
            network,
            lambda images: self._loss(network, images, generator),
            request.dataset,
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            seed=self.seed,
            progress=request.progress,
        )
        # One pass without gradients, then two masked images per image, there and back; the way back to the image alone,
        # without gradients of weights, costs about a pass.
        passes = self.steps * self.batch_size * 5
        return network_tensors(network), {"curve": curve, "fit_forward_passes": passes}

    def _loss(self, network: MapNetwork, images: Tensor, generator: torch.Generator) -> Tensor:
        with torch.no_grad():
            scores = self.classifier.scores(images)
        # A class that the classifier sees, a random one among several.
        noise = torch.rand(scores.shape, generator=generator).to(scores.device)
        seen = scores if self.classifier.task is Task.MULTICLASS else noise + 2 * (scores > 0.5)
        targets = seen.argmax(dim=1)
        masks = _masks(network(images), targets, size=images.shape[-2:])
        mean_color = self.classifier.mean_color(images)
        kept = self.classifier(mean_color + (images - mean_color) * masks[:, None])
        left = self.classifier(images + (mean_color - images) * masks[:, None])
        variation = masks.diff(dim=1).abs().mean() + masks.diff(dim=2).abs().mean()
        return (
            classification_loss(kept, targets, task=self.classifier.task)
            + self.weights["entropy_weight"]
            * (1 - relative_entropy(left, seen.argmax(dim=1), task=self.classifier.task))
            + self.weights["area_weight"] * masks.mean()
            + self.weights["variation_weight"] * variation
        )

    @torch.no_grad()
    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        if self._tensors is None:
            raise self._not_fitted()
        return _masks(self._network(images), targets, size=images.shape[-2:]).float()


def classification_loss(logits: Tensor, targets: Tensor, *, task: Task) -> Tensor:
    """Mean cross-entropy of the targets: of a softmax (multiclass), or of each target's own sigmoid."""
    rows = torch.arange(len(logits), device=logits.device)
    likelihood = logits.log_softmax(dim=1) if task is Task.MULTICLASS else torch.nn.functional.logsigmoid(logits)
    return -likelihood[rows, targets].mean()


def relative_entropy(logits: Tensor, targets: Tensor, *, task: Task) -> Tensor:
    """Mean entropy as a share of the largest: of all classes (multiclass), or of each target's own yes or no."""
    if task is Task.MULTICLASS:
        chances = logits.softmax(dim=1)
    else:
        own = logits[torch.arange(len(logits), device=logits.device), targets].sigmoid()
        chances = torch.stack([own, 1 - own], dim=1)
    entropy = -(chances * chances.clamp(min=1e-12).log()).sum(dim=1)
    return entropy.mean() / torch.tensor(float(chances.shape[1])).log().item()


def _masks(maps: Tensor, targets: Tensor, *, size: torch.Size) -> Tensor:
    own = maps[torch.arange(len(maps), device=maps.device), targets]
    return interpolate(own.sigmoid()[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
