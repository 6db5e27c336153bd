"""Train a decoder on a frozen classifier's own answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ...datasets import Dataset, InputError, Task, sample_batches
from ..classifiers import Classifier
from ..memory_layout import to_device
from ..schedule import one_cycle
from .decoder import select_target
from .fills import blur_fill, mean_color_fill, noise_fill
from .network import MaskNetwork
from .objective import (
    ObjectiveTerms,
    blend,
    classification_terms,
    present_targets,
    regression_terms,
)

_CURVE_POINTS = 60


@dataclass(frozen=True, kw_only=True)
class DecoderTraining:
    """Settings of a fit.

    Attributes:
        steps: Optimizer steps.
        batch_size: Images per step.
        learning_rate: Peak of the one-cycle schedule of AdamW.
        weight_decay: Of AdamW.
        area_weights: Weight of the area term at the start and from half of the steps on; it rises linearly. A light
            weight first lets the mask find the evidence, a heavy one then drives the background to zero.
        temperatures: Factor on the mask logits at the start and from half of the steps on; it sharpens the mask.
        random_target_share: Share of images that are asked for a random target, so that masks of absent targets
            become empty.
        fills: ``mean`` or ``mixed`` (mean colour, blur and noise, drawn per step).
        augment: ``flips`` (and quarter turns, for images without an upright), ``mirror`` (left-right) or ``none``.
    """

    steps: int = 600
    batch_size: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 0.01
    area_weights: tuple[float, float] = (1.0, 6.0)
    temperatures: tuple[float, float] = (1.0, 2.0)
    random_target_share: float = 0.25
    fills: Literal["mean", "mixed"] = "mean"
    augment: Literal["flips", "mirror", "none"] = "flips"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; wanted at least 1")
        if not 0 <= self.random_target_share <= 1:
            raise InputError(f"random_target_share is {self.random_target_share}; wanted a share from 0 to 1")


def train_decoder(
    network: MaskNetwork,
    classifier: Classifier,
    dataset: Dataset,
    *,
    settings: DecoderTraining,
    seed: int,
    progress: bool,
) -> list[dict[str, float]]:
    """Fit the decoder in place; the classifier is left as it is.

    Args:
        network: Decoder and smoothing, on the classifier's device.
        classifier: The only teacher.
        dataset: Training images of one size; labels and annotated regions are not read.
        settings: How to train.
        seed: Seed of order, targets, fills and augmentation.
        progress: Whether to show a progress bar.

    Returns:
        The curve: mean terms and weights of up to 60 stretches of the training.

    Raises:
        InputError: If the loss becomes not a number.
    """
    generator = torch.Generator().manual_seed(seed)
    spread = _output_spread(classifier, dataset) if classifier.task is Task.REGRESSION else None
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = one_cycle(optimizer, learning_rate=settings.learning_rate, steps=settings.steps)
    curve: list[dict[str, float]] = []
    stretch: list[ObjectiveTerms] = []
    stretch_length = max(1, settings.steps // _CURVE_POINTS)
    network.train()
    batches = _image_batches(dataset, settings.batch_size, generator)
    with (
        frozen_parameters(classifier),
        tqdm(total=settings.steps, desc="fitting decoder", unit="step", disable=not progress) as bar,
    ):
        for step in range(settings.steps):
            rise = min(1.0, 2 * step / settings.steps)
            area_weight = _between(settings.area_weights, rise)
            network.temperature.fill_(_between(settings.temperatures, rise))
            images = _augmented(next(batches), settings.augment, generator)
            images = to_device(images, classifier.device)
            terms = _terms(network, classifier, images, settings=settings, spread=spread, generator=generator)
            loss = terms.loss(area_weight=area_weight)
            if not torch.isfinite(loss):
                raise InputError(
                    f"the decoder's loss became {float(loss.detach())} at step {step + 1}; "
                    f"lower learning_rate ({settings.learning_rate})"
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            stretch.append(
                ObjectiveTerms(
                    area=terms.area.detach(),
                    deletion=terms.deletion.detach(),
                    preservation=terms.preservation.detach(),
                )
            )
            if len(stretch) == stretch_length or step + 1 == settings.steps:
                curve.append(_curve_point(step + 1, stretch, area_weight=area_weight))
                stretch = []
                bar.set_postfix(area=curve[-1]["area"], deleted=curve[-1]["deletion"], lost=curve[-1]["preservation"])
            bar.update()
    network.eval()
    return curve


@contextmanager
def frozen_parameters(module: nn.Module) -> Iterator[None]:
    """Spare the gradients of parameters inside the block, and switch them back on as they were."""
    switches = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    try:
        for parameter, _ in switches:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter, requires_grad in switches:
            parameter.requires_grad_(requires_grad)


def _terms(
    network: MaskNetwork,
    classifier: Classifier,
    images: Tensor,
    *,
    settings: DecoderTraining,
    spread: Tensor | None,
    generator: torch.Generator,
) -> ObjectiveTerms:
    with torch.no_grad():
        logits, features = classifier.logits_and_features(images, layers=network.layers)
        scores = classifier.scores_from_logits(logits)
    targets = _draw_targets(scores, classifier.task, settings.random_target_share, generator)
    masks = network.masks(features, targets, size=images.shape[-2:])
    fill = _draw_fill(images, classifier, settings.fills, generator)
    both = torch.cat([blend(images, fill, 1 - masks), blend(images, fill, masks)])
    own = select_target_scores(classifier.scores(both), targets.repeat(2))
    deleted, preserved = own.chunk(2)
    clean = select_target_scores(scores, targets)
    if spread is None:
        present = present_targets(scores, targets, task=classifier.task)
        return classification_terms(masks, clean=clean, deleted=deleted, preserved=preserved, present=present)
    with torch.no_grad():
        without_image = select_target_scores(classifier.scores(fill), targets)
    return regression_terms(
        masks, clean=clean, deleted=deleted, preserved=preserved, without_image=without_image, spread=spread[targets]
    )


def select_target_scores(scores: Tensor, targets: Tensor) -> Tensor:
    """Each row's own score: (B, K) and int64 (B,) to (B,)."""
    return select_target(scores[:, :, None, None], targets)[:, 0, 0]


def _draw_targets(scores: Tensor, task: Task, random_share: float, generator: torch.Generator) -> Tensor:
    """Outputs to explain: one that the classifier sees, or, for a share of the images, any."""
    n_images, n_outputs = scores.shape
    noise = torch.rand(n_images, n_outputs, generator=generator).to(scores.device)
    anything = noise.argmax(dim=1)
    if task is Task.MULTICLASS:
        seen = scores.argmax(dim=1)
    elif task is Task.MULTILABEL:
        # Present outputs first, a random one among them; where none is present, any.
        seen = (noise + 2 * (scores > 0.5)).argmax(dim=1)
    else:
        return anything
    is_random = (torch.rand(n_images, generator=generator) < random_share).to(scores.device)
    return torch.where(is_random, anything, seen)


def _draw_fill(images: Tensor, classifier: Classifier, kind: str, generator: torch.Generator) -> Tensor:
    draw = float(torch.rand((), generator=generator)) if kind == "mixed" else 0.0
    if draw < 0.5:
        return mean_color_fill(images, classifier.mean)
    if draw < 0.8:
        return blur_fill(images)
    return noise_fill(images, classifier.mean, generator)


def _image_batches(dataset: Dataset, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless shuffled batches; an epoch's last, smaller batch is filled from the next epoch."""
    pending: list[int] = []
    while True:
        while len(pending) < batch_size:
            pending += torch.randperm(len(dataset), generator=generator).tolist()
        chosen, pending = pending[:batch_size], pending[batch_size:]
        yield torch.stack([dataset[index].image for index in chosen])


def _augmented(images: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    if kind != "none" and torch.rand((), generator=generator) < 0.5:
        images = images.flip(-1)
    if kind == "flips":
        images = torch.rot90(images, int(torch.randint(4, (), generator=generator)), dims=(-2, -1))
    return images


def _output_spread(classifier: Classifier, dataset: Dataset, *, n_images: int = 256) -> Tensor:
    scores = []
    for samples in sample_batches(dataset, 32, limit=n_images):
        images = torch.stack([sample.image for sample in samples])
        with torch.no_grad():
            scores.append(classifier.scores(images.to(classifier.device)))
    return torch.cat(scores).std(dim=0, correction=0).clamp(min=1e-6)


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * share


def _curve_point(step: int, stretch: list[ObjectiveTerms], *, area_weight: float) -> dict[str, Any]:
    def mean(name: str) -> float:
        return round(float(torch.stack([getattr(terms, name) for terms in stretch]).mean()), 5)

    return {
        "step": step,
        "area_weight": round(area_weight, 4),
        "area": mean("area"),
        "deletion": mean("deletion"),
        "preservation": mean("preservation"),
    }
