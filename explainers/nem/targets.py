"""Which outputs a decoder is asked for while it is trained."""

import torch
from torch import Tensor

from ...datasets import Task

# A target is weaker in another image, or under a fill, where at most this share of its probability is left.
WEAKER_SHARE = 0.75


def draw_targets(scores: Tensor, *, task: Task, random_share: float, generator: torch.Generator) -> Tensor:
    """Outputs to explain: one that the classifier sees, or, for a share of the images, any.

    Args:
        scores: (B, K) on the clean images.
        task: Multiclass: the predicted class; multilabel: any of the labels above one half; regression: any output.
        random_share: Share of the images that are asked for any output, so that masks of absent targets become empty.
        generator: Source of randomness, on the CPU.

    Returns:
        int64 (B,), on the device of the scores.
    """
    n_images, n_outputs = scores.shape
    noise = torch.rand(n_images, n_outputs, generator=generator).to(scores.device)
    is_random = (torch.rand(n_images, generator=generator) < random_share).to(scores.device)
    anything = noise.argmax(dim=1)
    if task is Task.REGRESSION:
        return anything
    # Present labels first, a random one among them; where none is present, any.
    seen = scores if task is Task.MULTICLASS else noise + 2 * (scores > 0.5)
    return torch.where(is_random, anything, seen.argmax(dim=1))


def present_targets(scores: Tensor, targets: Tensor, *, task: Task) -> Tensor:
    """Whether the classifier itself sees each target, bool (B,).

    Args:
        scores: (B, K) on the clean images.
        targets: int64 (B,).
        task: Multiclass: the target is the predicted class, or has at least half its probability; multilabel: its
            probability is above one half; regression: always.
    """
    own = target_scores(scores, targets)
    if task is Task.MULTICLASS:
        return own >= 0.5 * scores.amax(dim=1)
    if task is Task.MULTILABEL:
        return own > 0.5
    return torch.ones_like(targets, dtype=torch.bool)


def target_scores(scores: Tensor, targets: Tensor) -> Tensor:
    """Each row's own score.

    Args:
        scores: (B, K).
        targets: int64 (B,).

    Returns:
        (B,): one score per row. (Indexing ``scores[:, targets]`` would pair every row with every target.)
    """
    return scores.gather(1, targets[:, None])[:, 0]
