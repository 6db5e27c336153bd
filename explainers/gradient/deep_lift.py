"""DeepLIFT with the rescale rule."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..channels import ChannelExplainer
from ..classifiers import Classifier
from .backward_rules import ELEMENTWISE, BackwardRules, Operation, name_of, vector_jacobian, with_rule
from .probe import completeness_probe

_NEARLY_EQUAL = 1e-6
# Exact rules leave 1e-7 (ResNet-50), a missing one at least 1e-4.
_TOLERATED_GAP = 1e-5


def multipliers(classifier: Classifier, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """What a change of each pixel from mean colour contributes to the change of the targets' logits.

    Args:
        classifier: What is explained.
        images: float32 (B, C, H, W) in [0, 1].
        targets: int64 (B,).

    Returns:
        Contributions (B, C, H, W), and the changes of the logits (B,), to which they should sum up.
    """

    def rescale(func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = name_of(func)
        if name in ELEMENTWISE:
            return with_rule(func, args, kwargs, rule=_rescaled)
        if name == "max_pool2d" and not kwargs.get("return_indices"):
            return with_rule(func, args, kwargs, rule=_max_pooled)
        return NotImplemented

    baseline = classifier.mean_color(images)
    both = torch.cat([images.detach(), baseline]).requires_grad_()
    with torch.enable_grad():
        with BackwardRules(rescale):
            logits = classifier(both)
        own = logits.gather(1, targets.repeat(2)[:, None])[:, 0]
        (gradient,) = torch.autograd.grad(own.sum(), both)
    change = (own[: len(images)] - own[len(images) :]).detach()
    return gradient[: len(images)] * (images.detach() - baseline), change


class DeepLiftExplainer(ChannelExplainer):
    """Contributions of the pixels to the difference that the image makes, by the rescale rule.

    References:
        Shrikumar, Greenside, Kundaje, ICML 2017, rescale rule; max-pooling as in Lundberg, Lee, NeurIPS 2017.
        Multiplications of features (attention, squeeze and excitation) and normalization by the features' own
        statistics have no rule: such networks are refused.
    """

    family = "gradient"
    citation = "Shrikumar, Greenside, Kundaje, ICML 2017"
    passes = "2 forward, 2 backward"

    @classmethod
    def unsupported(cls, classifier: Classifier) -> str | None:
        """Contributions must sum to the change of the output; where they do not, some operation has no rule."""
        probe, targets = completeness_probe(classifier)
        contributions, change = multipliers(classifier, probe, targets)
        total = contributions.double().sum(dim=(1, 2, 3))
        # Relative to all that was moved to and fro, since contributions may cancel.
        gap = ((total - change).abs() / contributions.double().abs().sum(dim=(1, 2, 3)).clamp(min=1e-12)).max()
        if gap < _TOLERATED_GAP:
            return None
        return (
            f"contributions of DeepLIFT miss the change of the output by {float(gap):.2%} of their size: the network "
            "has operations without a rescale rule (attention, gates, layer normalization)"
        )

    def _attribute_channels(self, images: Tensor, targets: Tensor) -> Tensor:
        return multipliers(self.classifier, images, targets)[0]


def _rescaled(value: Tensor, result: Tensor, gradient: Tensor, *, plain: Callable[[Tensor], Tensor]) -> Tensor:
    """Slope of the chord between image and baseline, in the place of the slope at the image."""
    (of_image, of_baseline), (out_image, out_baseline) = value.chunk(2), result.chunk(2)
    difference = of_image - of_baseline
    is_same = difference.abs() < _NEARLY_EQUAL
    chord = (out_image - out_baseline) / torch.where(is_same, torch.ones_like(difference), difference)
    slope = torch.where(is_same.repeat(2, *[1] * (value.ndim - 1)), 0.0, chord.repeat(2, *[1] * (value.ndim - 1)))
    tangent = vector_jacobian(plain, value, gradient)
    return torch.where(is_same.repeat(2, *[1] * (value.ndim - 1)), tangent, gradient * slope)


def _max_pooled(value: Tensor, result: Tensor, gradient: Tensor, *, plain: Callable[[Tensor], Tensor]) -> Tensor:
    """The change of a maximum is due to the pixel that is largest in the image and to the one of the baseline."""
    (of_image, of_baseline), (out_image, out_baseline) = value.chunk(2), result.chunk(2)
    difference = of_image - of_baseline
    larger = torch.maximum(out_image, out_baseline)
    own = gradient.chunk(2)[0]
    rise = vector_jacobian(plain, of_image, own * (larger - out_baseline))
    fall = vector_jacobian(plain, of_baseline, own * (out_image - larger))
    is_same = difference.abs() < _NEARLY_EQUAL
    slope = (rise + fall) / torch.where(is_same, torch.ones_like(difference), difference)
    tangent = vector_jacobian(plain, of_image, own)
    return torch.where(is_same, tangent, slope).repeat(2, 1, 1, 1)
