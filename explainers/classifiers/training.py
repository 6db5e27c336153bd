"""Train or fine-tune a classifier on a dataset."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from torch.utils.data import DataLoader
from tqdm import tqdm

from ...datasets import Dataset, InMemory, InputError, Sample, Task, sample_batches
from ..augmentation import AugmentName, augmented, partly_removed
from ..memory_layout import to_device
from ..randomness import seeded
from ..schedule import one_cycle
from .checkpoint import Architecture
from .classifier import Classifier
from .performance import Performance, measure_performance


@dataclass(frozen=True, kw_only=True)
class ClassifierTraining:
    """Settings of a training.

    Attributes:
        epochs: Passes over the training split.
        batch_size: Images per step.
        learning_rate: Peak of the one-cycle schedule of AdamW.
        weight_decay: Of AdamW.
        augment: As in `AugmentName`.
        removed_share: Share of the images from which a part is removed, as in `partly_removed`.
        class_weights: Weight classes (multiclass) by the inverse of their frequency, or present labels (multilabel) by
            negatives per positive. Without it a network that sees nothing answers the most frequent class, and that
            class needs no evidence that an explainer could find.
        workers: Processes that load images in every epoch anew; 0 loads in this one, and keeps what fits in memory.
        seed: Seed of initial weights, order and augmentation.
    """

    epochs: int = 5
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    augment: AugmentName = "flips"
    removed_share: float = 0.0
    class_weights: bool = True
    workers: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; wanted at least 1")
        if not 0 <= self.removed_share <= 1:
            raise InputError(f"removed_share is {self.removed_share}; wanted a share from 0 to 1")


def train_classifier(
    architecture: Architecture,
    *,
    train: Dataset,
    validation: Dataset,
    settings: ClassifierTraining,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> tuple[Classifier, dict[str, Any]]:
    """Train a network and keep the epoch that validates best.

    Args:
        architecture: How the network is built and initialized.
        train: Training split; images of one size.
        validation: Validation split.
        settings: How to train.
        device: Where to train.
        progress: Whether to show a progress bar.

    Returns:
        The classifier, and a record of the training (data, settings, curve, validation, seconds) for the checkpoint.

    Raises:
        InputError: If images differ in size or the loss becomes not a number.
    """
    info = train.info
    if info.image_size is None:
        raise InputError(f"images of {info.name} differ in size; give the dataset an image_size")
    started = time.perf_counter()
    if not settings.workers:
        train, validation = InMemory(train), InMemory(validation)
    with seeded(settings.seed):
        network = architecture.build(len(info.output_names), info.channels)
        classifier = Classifier(
            network.module,
            task=info.task,
            output_names=info.output_names,
            mean=network.mean,
            std=network.std,
            channels=info.channels,
            image_size=info.image_size[0],
            feature_layers=network.feature_layers,
        ).to(device)
        module = classifier.module
        optimizer = torch.optim.AdamW(
            module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        steps = settings.epochs * -(-len(train) // settings.batch_size)
        schedule = one_cycle(optimizer, learning_rate=settings.learning_rate, steps=steps)
        weights = _class_weights(train) if settings.class_weights else None
        weights = None if weights is None else weights.to(device)
        mean_color = classifier.mean.cpu()
        curve: list[dict[str, Any]] = []
        best: tuple[float, dict[str, Tensor], Performance] | None = None
        with tqdm(total=steps, desc="training classifier", unit="step", disable=not progress) as bar:
            for epoch in range(settings.epochs):
                losses = []
                module.train()
                for images, outputs in _batches(train, settings):
                    varied = partly_removed(
                        augmented(images, settings.augment), share=settings.removed_share, mean_color=mean_color
                    )
                    logits = module((to_device(varied, device, learns=True) - classifier.mean) / classifier.std)
                    loss = _loss(logits, outputs.to(device), task=info.task, weights=weights)
                    if not torch.isfinite(loss):
                        raise InputError(
                            f"the training loss became {float(loss.detach())} in epoch {epoch + 1}; "
                            f"lower learning_rate ({settings.learning_rate})"
                        )
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    schedule.step()
                    losses.append(float(loss.detach()))
                    bar.update()
                performance = evaluate_classifier(
                    classifier, validation, batch_size=settings.batch_size, workers=settings.workers
                )
                curve.append({"epoch": epoch + 1, "loss": sum(losses) / len(losses), **performance.as_dict()})
                bar.set_postfix_str(performance.summary())
                merit = cast(float, performance.r2 if info.task is Task.REGRESSION else performance.balanced_accuracy)
                if best is None or merit > best[0]:
                    best = (merit, {k: v.detach().clone() for k, v in module.state_dict().items()}, performance)
    if best is None:
        raise InputError(f"epochs is {settings.epochs}; wanted at least 1")
    module.load_state_dict(best[1])
    for parameter in module.parameters():
        parameter.grad = None
    record = {
        "dataset": info.name,
        "dataset_fingerprint": info.fingerprint,
        "initial": architecture.params,
        "settings": asdict(settings),
        "curve": curve,
        "validation": best[2].as_dict(),
        "validation_dataset_fingerprint": validation.info.fingerprint,
        "train_seconds": time.perf_counter() - started,
    }
    return classifier.eval(), record


def evaluate_classifier(
    classifier: Classifier, dataset: Dataset, *, batch_size: int = 64, limit: int | None = None, workers: int = 0
) -> Performance:
    """Measure a classifier on the first samples of a dataset.

    Args:
        classifier: What to measure.
        dataset: Labelled samples, images of one size.
        batch_size: Images per pass.
        limit: Samples at most, or None for all.
        workers: Processes that load images; 0 loads in this one.
    """
    scores, outputs = [], []
    for samples in sample_batches(dataset, batch_size, limit=limit, workers=workers):
        images, actual = _collate(samples)
        with torch.no_grad():
            scores.append(classifier.scores(images.to(classifier.device)).cpu())
        outputs.append(actual)
    return measure_performance(torch.cat(scores), torch.cat(outputs), task=classifier.task)


def _collate(samples: list[Sample]) -> tuple[Tensor, Tensor]:
    return torch.stack([sample.image for sample in samples]), torch.stack([sample.outputs for sample in samples])


def _batches(dataset: Dataset, settings: ClassifierTraining) -> Iterator[tuple[Tensor, Tensor]]:
    # A Dataset has the two methods that a DataLoader asks for, but does not inherit from torch's class.
    loader: DataLoader[Any] = DataLoader(
        cast(Any, dataset),
        batch_size=settings.batch_size,
        shuffle=True,
        num_workers=settings.workers,
        collate_fn=_collate,
    )
    yield from loader


def _class_weights(dataset: Dataset) -> Tensor | None:
    if dataset.info.task is Task.REGRESSION:
        return None
    outputs = dataset.outputs()
    n_present = outputs.sum(dim=0).clamp(min=1)
    if dataset.info.task is Task.MULTICLASS:
        return len(outputs) / (outputs.shape[1] * n_present)
    return (len(outputs) - n_present).clamp(min=1) / n_present


def _loss(logits: Tensor, outputs: Tensor, *, task: Task, weights: Tensor | None) -> Tensor:
    if task is Task.MULTICLASS:
        return cross_entropy(logits, outputs, weight=weights)
    if task is Task.MULTILABEL:
        return binary_cross_entropy_with_logits(logits, outputs, pos_weight=weights)
    return mse_loss(logits, outputs)
