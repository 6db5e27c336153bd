"""What is explained: samples, and what a dataset says about itself."""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from .errors import InputError


class Task(StrEnum):
    """What the outputs of a dataset, and of a classifier trained on it, mean."""

    MULTICLASS = "multiclass"
    MULTILABEL = "multilabel"
    REGRESSION = "regression"


class MaskKind(StrEnum):
    """How the evidence of an output is annotated."""

    PIXEL = "pixel"
    BOX = "box"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """Facts about a dataset that travel with every result.

    Attributes:
        name: Catalog name of the dataset.
        version: Version of the data or of the generator; a change of version is a change of scores.
        task: What the outputs mean.
        output_names: One name per output, in the order of ``Sample.outputs``.
        mask_kind: How regions are annotated.
        channels: Channels of every image.
        image_size: Height and width in pixels of every image, or None where images differ.
        license: License of the data.
        citation: How to cite the data.
        fingerprint: Hash of everything that decides the samples (files, split, size, seed).
        notes: Facts that a reader of the results must know, such as images listed but absent.
    """

    name: str
    version: str
    task: Task
    output_names: tuple[str, ...]
    mask_kind: MaskKind
    channels: int
    image_size: tuple[int, int] | None
    license: str
    citation: str
    fingerprint: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image with its outputs and, where annotated, the region of each output.

    Attributes:
        sample_id: Identifier that is the same on every machine.
        image: float32 (C, H, W) in [0, 1].
        outputs: float32 (K,): one-hot (multiclass), multi-hot (multilabel) or values (regression).
        gt_masks: bool (K, H, W), the annotated region of each output, or None where nothing is annotated. Where one
            region is the evidence for whichever output (a photo of one lesion), every output has that region.
    """

    sample_id: str
    image: Tensor
    outputs: Tensor
    gt_masks: Tensor | None = None

    def __post_init__(self) -> None:
        if self.image.dtype != torch.float32 or self.image.ndim != 3:
            raise InputError(
                f"sample {self.sample_id}: image is {self.image.dtype} {tuple(self.image.shape)}; "
                "wanted float32 (C, H, W) in [0, 1]"
            )
        if self.outputs.dtype != torch.float32 or self.outputs.ndim != 1:
            raise InputError(
                f"sample {self.sample_id}: outputs are {self.outputs.dtype} {tuple(self.outputs.shape)}; "
                "wanted float32 (K,)"
            )
        wanted = (len(self.outputs), *self.image.shape[1:])
        if self.gt_masks is not None and (self.gt_masks.dtype != torch.bool or tuple(self.gt_masks.shape) != wanted):
            raise InputError(
                f"sample {self.sample_id}: gt_masks are {self.gt_masks.dtype} {tuple(self.gt_masks.shape)}; "
                f"wanted bool {wanted}, one mask per output at the size of the image"
            )
