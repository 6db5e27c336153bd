"""What a fit costs in passes through the classifier."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..classifiers import Classifier
from .resume import Progress


@contextmanager
def counted_passes(classifier: Classifier, *, into: Progress) -> Iterator[None]:
    """Count every image that goes through the classifier inside the block, twice where it also goes back."""

    def count(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        into.forward_passes += len(inputs[0]) * (2 if torch.is_grad_enabled() else 1)

    handle = classifier.register_forward_pre_hook(count)
    try:
        yield
    finally:
        handle.remove()
