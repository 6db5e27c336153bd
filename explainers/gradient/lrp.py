"""Layer-wise relevance propagation."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from ...datasets import InputError
from ..channels import ChannelExplainer, ChannelReduction
from ..classifiers import Classifier
from .backward_rules import ELEMENTWISE, BackwardRules, Operation, name_of, vector_jacobian, with_rule

ConvolutionRule = Literal["z_plus", "epsilon"]

_LINEAR = frozenset({"linear", "batch_norm", "avg_pool2d", "adaptive_avg_pool2d", "mean"})
# Relevance is moved, not mixed: the ordinary gradient of these does the right thing with it.
_MOVING = frozenset(
    {"max_pool2d", "adaptive_max_pool2d", "flatten", "reshape", "view", "permute", "transpose", "contiguous", "clone"}
    | {"cat", "concat", "chunk", "split", "squeeze", "unsqueeze", "dropout", "pad", "__getitem__", "detach", "to"}
)


class _NoRuleError(Exception):
    """An operation for which there is no rule."""


def relevance(
    classifier: Classifier, images: Tensor, targets: Tensor, *, convolution_rule: ConvolutionRule, epsilon: float
) -> Tensor:
    """Share the logits of the targets out to the pixels, operation by operation.

    Args:
        classifier: What is explained.
        images: float32 (B, C, H, W) in [0, 1].
        targets: int64 (B,).
        convolution_rule: See `LrpExplainer`.
        epsilon: See there.

    Returns:
        (B, C, H, W).
    """

    def epsilon_rule(value: Tensor, result: Tensor, own: Tensor, *, plain: Callable[[Tensor], Tensor]) -> Tensor:
        return value * vector_jacobian(plain, value, own / _stabilized(result, epsilon))

    def propagate(func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = name_of(func)
        if name in ELEMENTWISE:
            return with_rule(func, args, kwargs, rule=lambda _value, _result, own, plain: own)
        if name == "conv2d" and convolution_rule == "z_plus":
            return with_rule(func, args, kwargs, rule=_z_plus_rule(args, kwargs, epsilon))
        if name in _LINEAR or name == "conv2d":
            return with_rule(func, args, kwargs, rule=epsilon_rule)
        if name in ("add", "__add__", "__iadd__") and all(isinstance(arg, Tensor) for arg in args[:2]) and not kwargs:
            return _SharedOut.apply(args[0], args[1], epsilon)
        result = func(*args, **kwargs)
        tensors = result if isinstance(result, tuple | list) else [result]
        if name not in _MOVING and any(isinstance(one, Tensor) and one.requires_grad for one in tensors):
            raise _NoRuleError(name)
        return result

    # Seen from the module: zeros are mean colour, and get no relevance.
    leaf = ((images - classifier.mean) / classifier.std).detach().requires_grad_()
    if classifier.module.training:
        classifier.module.eval()
    with torch.enable_grad():
        with BackwardRules(propagate):
            logits = classifier.module(leaf)
        own = logits.gather(1, targets[:, None])
        (result,) = torch.autograd.grad(own, leaf, own.detach())
    return result


class LrpExplainer(ChannelExplainer):
    """The target's logit, shared out from layer to layer in proportion to what each input contributed.

    References:
        Bach et al., PLoS ONE 2015, equations 58 (epsilon) and 60 with alpha = 1, beta = 0 (z_plus); that mixture:
        Kohlbrenner et al., IJCNN 2020. Batch normalization is an affine layer of its own, not merged into a
        convolution; biases absorb relevance.
    """

    family = "gradient"
    citation = "Bach et al., PLoS ONE 2015; Kohlbrenner et al., IJCNN 2020"
    passes = "1 forward, 1 backward (convolutions 2)"

    def __init__(
        self,
        classifier: Classifier,
        *,
        convolution_rule: ConvolutionRule = "z_plus",
        epsilon: float = 0.01,
        channel_reduction: ChannelReduction | None = None,
        seed: int = 0,
    ) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            convolution_rule: ``z_plus`` counts positive contributions alone; ``epsilon`` treats convolutions as all
                other layers.
            epsilon: Added to the size of every denominator, as a share of the root mean square of an image's
                denominators, > 0. Denominators near zero would blow rounding up.
            channel_reduction: As for every explainer that attributes to channels.
            seed: As for every explainer.
        """
        super().__init__(classifier, channel_reduction=channel_reduction, seed=seed)
        if not epsilon > 0:
            raise InputError(f"epsilon is {epsilon}; wanted more than 0")
        self.convolution_rule, self.epsilon = convolution_rule, epsilon

    @classmethod
    def unsupported(cls, classifier: Classifier) -> str | None:
        """Every operation on the way must have a rule."""
        side = classifier.image_size
        probe = torch.zeros(1, classifier.channels, side, side, device=classifier.device)
        targets = torch.zeros(1, dtype=torch.int64, device=classifier.device)
        try:
            relevance(classifier, probe, targets, convolution_rule="z_plus", epsilon=0.01)
        except _NoRuleError as error:
            return f"layer-wise relevance propagation has no rule for the operation {error}"
        return None

    def _attribute_channels(self, images: Tensor, targets: Tensor) -> Tensor:
        return relevance(self.classifier, images, targets, convolution_rule=self.convolution_rule, epsilon=self.epsilon)


def _stabilized(value: Tensor, epsilon: float) -> Tensor:
    size = value.square().flatten(1).mean(dim=1).sqrt().clamp(min=1e-30).reshape(-1, *[1] * (value.ndim - 1))
    return value + epsilon * size * torch.where(value >= 0, 1.0, -1.0)


def _z_plus_rule(args: tuple[Any, ...], kwargs: dict[str, Any], epsilon: float) -> Callable[..., Tensor]:
    """Positive contributions of a convolution: positive inputs by positive weights, negative by negative."""
    weight = args[1] if len(args) > 1 else kwargs["weight"]
    rest = args[3:]
    named = {key: value for key, value in kwargs.items() if key not in ("input", "weight", "bias")}

    def rule(value: Tensor, result: Tensor, own: Tensor, *, plain: Callable[[Tensor], Tensor]) -> Tensor:
        def positive(part: Tensor) -> Tensor:
            return torch.conv2d(part, weight.clamp(min=0), None, *rest, **named)

        def negative(part: Tensor) -> Tensor:
            return torch.conv2d(part, weight.clamp(max=0), None, *rest, **named)

        above, below = value.clamp(min=0), value.clamp(max=0)
        share = own / _stabilized(positive(above) + negative(below), epsilon)
        return above * vector_jacobian(positive, above, share) + below * vector_jacobian(negative, below, share)

    return rule


class _SharedOut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, one: Tensor, other: Tensor, epsilon: float) -> Tensor:
        ctx.save_for_backward(one, other)
        ctx.epsilon = epsilon
        return one + other

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        one, other = ctx.saved_tensors
        share = gradients[0] / _stabilized(one + other, ctx.epsilon)
        return one * share, other * share, None
