"""Practice for every class that a classifier predicts, however rare it is in the data."""

from collections import defaultdict
from collections.abc import Sequence

import torch
from tqdm import tqdm

from ...datasets import Dataset, sample_batches
from ..classifiers import Classifier

_BATCH = 32


def predicted_classes(classifier: Classifier, dataset: Dataset, *, progress: bool = False) -> list[int]:
    """The class with the highest score in every image; labels are not read.

    Args:
        classifier: Who answers.
        dataset: Images of one size.
        progress: Whether to show a progress bar.
    """
    classes: list[int] = []
    with tqdm(total=len(dataset), desc="predicting classes", unit="image", disable=not progress) as bar:
        for samples in sample_batches(dataset, _BATCH):
            images = torch.stack([sample.image for sample in samples])
            with torch.no_grad():
                classes += classifier.scores(images.to(classifier.device)).argmax(dim=1).tolist()
            bar.update(len(samples))
    return classes


def balanced_indices(indices: Sequence[int], classes: Sequence[int]) -> list[int]:
    """As many images of each class as the most frequent one has; those of other classes come more than once.

    Args:
        indices: Positions in a dataset.
        classes: Class of every image of the dataset.

    Returns:
        Positions: of every class as many, each image of a class as often as its others or once more.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for index in indices:
        groups[classes[index]].append(index)
    longest = max(map(len, groups.values()), default=0)
    return [group[place % len(group)] for _, group in sorted(groups.items()) for place in range(longest)]
