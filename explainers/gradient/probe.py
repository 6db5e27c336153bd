"""What a rule is tried on before a network is said to follow it."""

import torch
from torch import Tensor

from ..classifiers import Classifier


def completeness_probe(classifier: Classifier) -> tuple[Tensor, Tensor]:
    """Two images of noise, always the same, and the output that is asked of them.

    Args:
        classifier: Decides size, channels and device.

    Returns:
        Images float32 (2, C, H, W) in [0, 1], and targets int64 (2,), all 0.
    """
    side = classifier.image_size
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, classifier.channels, side, side, generator=generator).to(classifier.device)
    return images, torch.zeros(2, dtype=torch.int64, device=classifier.device)
