"""Practice for every class that a classifier predicts, however rare it is in the data."""

from collections import defaultdict
from collections.abc import Sequence

from tqdm import tqdm

from ...datasets import Dataset
from ..classifiers import Classifier, dataset_scores


def predicted_classes(classifier: Classifier, dataset: Dataset, *, progress: bool = False) -> list[int]:
    """The class with the highest score in every image; labels are not read.

    Args:
        classifier: Who answers.
        dataset: Images of one size.
        progress: Whether to show a progress bar.
    """
    classes: list[int] = []
    with tqdm(total=len(dataset), desc="predicting classes", unit="image", disable=not progress) as bar:
        for scores in dataset_scores(classifier, dataset):
            classes += scores.argmax(dim=1).tolist()
            bar.update(len(scores))
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
