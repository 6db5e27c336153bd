"""What a classifier answers to the images of a dataset."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ...datasets import Dataset, sample_batches
from .classifier import Classifier

_BATCH = 32


def dataset_scores(classifier: Classifier, dataset: Dataset, *, limit: int | None = None) -> Iterator[Tensor]:
    """Scores of the images in order, a batch at a time, without a gradient; labels are not read.

    Args:
        classifier: Who answers.
        dataset: Images of one size.
        limit: Images at most, the first ones, or None for all.

    Yields:
        (B, K) on the classifier's device.
    """
    for samples in sample_batches(dataset, _BATCH, limit=limit):
        images = torch.stack([sample.image for sample in samples])
        with torch.no_grad():
            scores = classifier.scores(images.to(classifier.device))
        yield scores
