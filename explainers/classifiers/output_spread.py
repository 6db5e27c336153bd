"""How far the outputs of a classifier differ between images: the unit of a regression's values."""

import torch
from torch import Tensor

from ...datasets import Dataset
from .classifier import Classifier
from .dataset_scores import dataset_scores


def output_spread(classifier: Classifier, dataset: Dataset, *, n_images: int = 256) -> Tensor:
    """Standard deviation of each output.

    Args:
        classifier: Who answers.
        dataset: Images; labels are not read.
        n_images: Images at most, the first ones.

    Returns:
        float32 (K,) on the classifier's device, at least 1e-6.
    """
    return torch.cat(list(dataset_scores(classifier, dataset, limit=n_images))).std(dim=0, correction=0).clamp(min=1e-6)
