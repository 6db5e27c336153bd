"""How far the outputs of a classifier differ between images: the unit of a regression's values."""

import torch
from torch import Tensor

from ...datasets import Dataset, sample_batches
from .classifier import Classifier


def output_spread(classifier: Classifier, dataset: Dataset, *, n_images: int = 256) -> Tensor:
    """Standard deviation of each output.

    Args:
        classifier: Who answers.
        dataset: Images; labels are not read.
        n_images: Images at most, the first ones.

    Returns:
        float32 (K,) on the classifier's device, at least 1e-6.
    """
    scores = []
    for samples in sample_batches(dataset, 32, limit=n_images):
        images = torch.stack([sample.image for sample in samples])
        with torch.no_grad():
            scores.append(classifier.scores(images.to(classifier.device)))
    return torch.cat(scores).std(dim=0, correction=0).clamp(min=1e-6)
