"""What one explanation answers: a sample and the output to explain."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from .dataset import Dataset
from .errors import InputError
from .sample import Sample, Task


class TargetRule(StrEnum):
    """Which outputs of a sample become cases.

    LABEL: multiclass, the annotated class; multilabel, one case per present label; regression, one case per output.
    PREDICTED: multiclass, the class that the classifier predicts; other tasks as LABEL.
    """

    LABEL = "label"
    PREDICTED = "predicted"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A sample and the output to explain.

    Attributes:
        sample: The sample.
        target: Index of the output to explain, in the classifier's outputs.
    """

    sample: Sample
    target: int

    @property
    def gt_mask(self) -> Tensor | None:
        """Annotated region of the target, bool (H, W), or None where there is none."""
        masks = self.sample.gt_masks
        if masks is None or not bool(masks[self.target].any()):
            return None
        return masks[self.target]


@dataclass(frozen=True, kw_only=True)
class CaseBatch:
    """Cases stacked for one call.

    Attributes:
        cases: The B cases.
        images: float32 (B, C, H, W) in [0, 1].
        targets: int64 (B,).
        gt_masks: bool (B, H, W); all False where a case has no annotated region.
    """

    cases: tuple[Case, ...]
    images: Tensor
    targets: Tensor
    gt_masks: Tensor

    @classmethod
    def of(cls, cases: Sequence[Case]) -> "CaseBatch":
        """Stack cases.

        Args:
            cases: At least one case, images of one size.

        Raises:
            InputError: If images differ in size.
        """
        shapes = {tuple(case.sample.image.shape) for case in cases}
        if len(shapes) != 1:
            raise InputError(f"images of one batch have shapes {sorted(shapes)}; give the dataset an image_size")
        images = torch.stack([case.sample.image for case in cases])
        empty = torch.zeros(images.shape[-2:], dtype=torch.bool)
        gt_masks = torch.stack([empty if case.gt_mask is None else case.gt_mask for case in cases])
        targets = torch.tensor([case.target for case in cases], dtype=torch.int64)
        return cls(cases=tuple(cases), images=images, targets=targets, gt_masks=gt_masks)


def targets_of(sample: Sample, *, task: Task, rule: TargetRule, predicted: int | None = None) -> tuple[int, ...]:
    """Outputs of a sample that are to be explained.

    Args:
        sample: The sample.
        task: What its outputs mean.
        rule: Which outputs are wanted.
        predicted: Output that the classifier predicts; needed for multiclass under PREDICTED.

    Returns:
        Indices of outputs; empty for a multilabel sample without a present label.

    Raises:
        InputError: If a prediction is needed and missing, or a multiclass sample has not exactly one label.
    """
    if task is Task.REGRESSION:
        return tuple(range(len(sample.outputs)))
    if task is Task.MULTILABEL:
        return tuple(int(index) for index in torch.nonzero(sample.outputs > 0.5).flatten())
    if rule is TargetRule.PREDICTED:
        if predicted is None:
            raise InputError(f"sample {sample.sample_id}: the predicted class is to be explained, but none was given")
        return (predicted,)
    labels = torch.nonzero(sample.outputs > 0.5).flatten()
    if len(labels) != 1:
        raise InputError(
            f"sample {sample.sample_id}: {len(labels)} labels in a multiclass dataset; wanted 1, "
            "or task = 'multilabel', or targets = 'predicted'"
        )
    return (int(labels[0]),)


def sample_batches(
    dataset: Dataset, batch_size: int, *, limit: int | None = None, workers: int = 0
) -> Iterator[list[Sample]]:
    """Samples in order, a batch at a time, loaded when asked for.

    Args:
        dataset: Where samples come from.
        batch_size: Samples per batch, at least 1; the last batch may be smaller.
        limit: Samples in all, or None for every one.
        workers: Processes that load, a few batches ahead; 0 loads in this one.

    Yields:
        Lists of 1 to ``batch_size`` samples.
    """
    total = len(dataset) if limit is None else min(limit, len(dataset))
    # A Dataset has the two methods that a DataLoader asks for, but does not inherit from torch's class. The generator
    # is there because a loader without one draws a seed from the global random state.
    loader: DataLoader[Any] = DataLoader(
        cast(Any, dataset),
        batch_size=batch_size,
        sampler=range(total),
        num_workers=workers,
        collate_fn=list,
        generator=torch.Generator(),
    )
    yield from loader
