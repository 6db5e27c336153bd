"""What a classifier says of images that were made from one case: many passes, full batches, on its device."""

import torch
from torch import Tensor

from ...datasets import Case, Task, fingerprint
from ...explainers import Classifier
from ...explainers.fills import FillName, filled
from ...explainers.randomness import case_seed

# Bounds memory (224 px, ResNet-50: about 0.5 GB) and fills a GPU. A batch never mixes cases: a score must not depend on
# batch mates, not even in the last bit.
_IMAGES_PER_PASS = 64
# Apart from the seeds of explainers, which are derived from names.
_SCORING_SEED = 0


def scoring_generator(case: Case, *, purpose: str) -> torch.Generator:
    """Randomness of a metric for one case, derived from the image, the target and the purpose alone.

    Every explainer meets the same draws on the same case, whatever else is in the batch.

    Args:
        case: The case.
        purpose: What is drawn, so that two uses of one case draw different numbers.
    """
    content = case_seed(_SCORING_SEED, case.sample.image, case.target)
    return torch.Generator().manual_seed(int(fingerprint([content, purpose])[:8], 16))


def filled_case(case: Case, *, fill: FillName, classifier: Classifier) -> Tensor:
    """The case's image with every pixel removed: float32 (C, H, W) on the classifier's device."""
    image = case.sample.image[None].to(classifier.device)
    seed = case_seed(_SCORING_SEED, case.sample.image, case.target)
    return filled(image, fill=fill, mean_color=classifier.mean, seeds=[seed])[0]


def all_scores(case: Case, *, classifier: Classifier) -> Tensor:
    """Scores of every output on the case's image alone: float32 (K,) on the CPU."""
    with torch.no_grad():
        return classifier.scores(case.sample.image[None].to(classifier.device))[0].cpu()


def target_scores(images: Tensor, *, case: Case, classifier: Classifier) -> Tensor:
    """Scores of the case's target on images made from the case.

    Args:
        images: float32 (n, C, H, W) in [0, 1], on any device.
        case: Names the target.
        classifier: Who answers.

    Returns:
        float64 (n,) on the CPU.
    """
    with torch.no_grad():
        answers = [
            classifier.scores(images[start : start + _IMAGES_PER_PASS].to(classifier.device))[:, case.target]
            for start in range(0, len(images), _IMAGES_PER_PASS)
        ]
    return torch.cat(answers).double().cpu()


def scores_where_kept(keep: Tensor, *, fill_image: Tensor, case: Case, classifier: Classifier) -> Tensor:
    """Scores of the case's target when some pixels are kept and the others filled.

    Args:
        keep: bool (n, H, W), on the classifier's device.
        fill_image: float32 (C, H, W), what the others become, on the classifier's device.
        case: The image and its target.
        classifier: Who answers.

    Returns:
        float64 (n,) on the CPU.
    """
    image = case.sample.image.to(classifier.device)
    with torch.no_grad():
        answers = [
            classifier.scores(torch.where(keep[start : start + _IMAGES_PER_PASS, None], image, fill_image))
            for start in range(0, len(keep), _IMAGES_PER_PASS)
        ]
    return torch.cat(answers)[:, case.target].double().cpu()


def retained(scores: Tensor, *, full: Tensor, empty: Tensor, task: Task) -> Tensor:
    """What is left of the answer, comparable between cases.

    A probability is its own scale. A regression value is not: there it is the share of the way from the answer to the
    filled image up to the answer to the image, (f(x) - f(filled)) / (f(image) - f(filled)), within [0, 1].

    Args:
        scores: float64 (n,), answers to images made from one case.
        full: float64 (), the answer to the image.
        empty: float64 (), the answer to the filled image; for regression below the answer to the image.
        task: What a score is.

    Returns:
        float64 (n,), probabilities, or for regression shares in [0, 1].
    """
    if task is not Task.REGRESSION:
        return scores
    # Two answers that differ in the last bit in one pass may be equal in another.
    whole = (full - empty).clamp(min=torch.finfo(torch.float64).tiny)
    return ((scores - empty) / whole).clamp(0, 1)
