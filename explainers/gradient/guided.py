"""Guided backpropagation."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..channels import ChannelExplainer
from ..classifiers import Classifier
from .backward_rules import RELUS, BackwardRules, Operation, name_of, vector_jacobian, with_rule


def guided_gradient(classifier: Classifier, images: Tensor, targets: Tensor) -> tuple[Tensor, int]:
    """Gradient of the targets' logits, of which every ReLU passes only the positive part.

    Args:
        classifier: What is explained.
        images: float32 (B, C, H, W) in [0, 1].
        targets: int64 (B,).

    Returns:
        The guided gradient, (B, C, H, W), and the number of ReLUs that were met.
    """
    met = 0

    def guide(func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        nonlocal met
        if name_of(func) not in RELUS:
            return NotImplemented
        met += 1
        return with_rule(func, args, kwargs, rule=_positive_gradient)

    leaf = images.detach().requires_grad_()
    with torch.enable_grad():
        with BackwardRules(guide):
            logits = classifier(leaf)
        own = logits.gather(1, targets[:, None]).sum()
        (gradient,) = torch.autograd.grad(own, leaf)
    return gradient, met


class GuidedBackpropExplainer(ChannelExplainer):
    """The gradient, of which every ReLU passes only what is positive.

    References:
        Springenberg et al., ICLR workshop 2015. Also for ReLUs that are no modules, which implementations with hooks
        miss.
    """

    family = "gradient"
    citation = "Springenberg et al., ICLR workshop 2015"
    passes = "1 forward, 1 backward"
    default_reduction = "max_abs"

    @classmethod
    def unsupported(cls, classifier: Classifier) -> str | None:
        """It is a rule for ReLUs."""
        side = classifier.image_size
        probe = torch.zeros(1, classifier.channels, side, side, device=classifier.device)
        _, n_relus = guided_gradient(classifier, probe, torch.zeros(1, dtype=torch.int64, device=classifier.device))
        return None if n_relus else "the network has no ReLU, and guided backpropagation is a rule for ReLUs"

    def _attribute_channels(self, images: Tensor, targets: Tensor) -> Tensor:
        return guided_gradient(self.classifier, images, targets)[0]


def _positive_gradient(value: Tensor, result: Tensor, gradient: Tensor, *, plain: Callable[[Tensor], Tensor]) -> Tensor:
    return vector_jacobian(plain, value, gradient.clamp(min=0))
