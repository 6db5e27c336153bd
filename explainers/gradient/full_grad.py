"""FullGrad: the gradient of the input, and those of all biases on the way."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..classifiers import Classifier
from ..explainer import Explainer
from .backward_rules import ELEMENTWISE, BackwardRules, Operation, name_of, vector_jacobian, with_rule
from .probe import completeness_probe

Rescaling = Literal["layer", "channel"]

_AFFINE = frozenset({"conv2d", "linear", "batch_norm"})
# A multiple of the input gives the same multiple of the output: such an operation has no bias.
_WITHOUT_BIAS = frozenset({"relu", "leaky_relu"})
# Exact biases leave 1e-7 (ResNet-50), a missing one at least 1e-3.
_TOLERATED_GAP = 1e-5
# Below this share of its size, the spread of a layer or channel is rounding, which rescaling would blow up.
_LEAST_SPREAD = 1e-5


def full_gradient(
    classifier: Classifier, images: Tensor, targets: Tensor, *, take: Callable[[Tensor], None]
) -> tuple[Tensor, Tensor]:
    """Split the logits of the targets into what the input and what every bias contributes.

    Args:
        classifier: What is explained.
        images: float32 (B, C, H, W) in [0, 1].
        targets: int64 (B,).
        take: Gets the contributions of every bias, (B, ...) of the shape of that operation's output, during the
            backward pass, so that they need not be kept.

    Returns:
        Contributions of the input (B, C, H, W), the gradient times the normalized image, and the logits (B,), to which
        all contributions should sum up.

    References:
        Srinivas, Fleuret, NeurIPS 2019, proposition 1; an activation that is not homogeneous has the bias of its
        tangent (implicit biases).
    """

    def split(func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = name_of(func)
        if name in _AFFINE:
            result: Tensor = func(*args, **kwargs)
            if result.requires_grad:
                # What the operation makes of zeros: its bias, in batch normalization with that of the running mean.
                with torch.no_grad():
                    bias = func(torch.zeros_like(args[0][:1]), *args[1:], **kwargs)
                result.register_hook(lambda gradient: take(gradient * bias))  # type: ignore[no-untyped-call]
            return result
        if name in ELEMENTWISE - _WITHOUT_BIAS:
            return with_rule(func, args, kwargs, rule=tangent_rule)
        return NotImplemented

    def tangent_rule(value: Tensor, result: Tensor, gradient: Tensor, *, plain: Callable[[Tensor], Tensor]) -> Tensor:
        own = vector_jacobian(plain, value, gradient)
        take(gradient * result - own * value)
        return own

    # Seen from the module: zeros are mean colour, and contribute nothing.
    leaf = ((images - classifier.mean) / classifier.std).detach().requires_grad_()
    if classifier.module.training:
        classifier.module.eval()
    with torch.enable_grad():
        with BackwardRules(split):
            logits = classifier.module(leaf)
        own = logits.gather(1, targets[:, None])[:, 0]
        (gradient,) = torch.autograd.grad(own.sum(), leaf)
    return gradient * leaf.detach(), own.detach()


class FullGradExplainer(Explainer):
    """What the pixels and the biases of all layers contribute, as magnitudes, added up at the size of the image.

    References:
        Srinivas, Fleuret, NeurIPS 2019, equation 8: psi is the magnitude, rescaled to [0, 1] and bilinearly enlarged.
        Biases without places (those of the head) belong to no pixel and are left out, as in the authors' code.
    """

    family = "gradient"
    citation = "Srinivas, Fleuret, NeurIPS 2019"
    passes = "1 forward, 1 backward, 1 forward for all images"

    def __init__(self, classifier: Classifier, *, rescaling: Rescaling = "layer", seed: int = 0) -> None:
        """Bind the explainer to a classifier.

        Args:
            classifier: What is explained.
            rescaling: What is brought to [0, 1]: each ``layer``, as in the authors' code, so that its channels keep
                their proportions, or each ``channel``, as in the equation read literally.
            seed: As for every explainer; nothing here is random.
        """
        super().__init__(classifier, seed=seed)
        self.rescaling: Rescaling = rescaling

    @classmethod
    def unsupported(cls, classifier: Classifier) -> str | None:
        """Contributions must sum to the output; where they do not, some operation has a bias that is not known."""
        probe, targets = completeness_probe(classifier)
        sums, sizes = torch.zeros(2).double(), torch.zeros(2).double()

        def add(contributions: Tensor) -> None:
            nonlocal sums, sizes
            flat = contributions.detach().flatten(1).double().cpu()
            sums, sizes = sums + flat.sum(dim=1), sizes + flat.abs().sum(dim=1)

        of_input, logits = full_gradient(classifier, probe, targets, take=add)
        add(of_input)
        # Relative to all that was added, since contributions may cancel.
        gap = float(((sums - logits.double().cpu()).abs() / sizes.clamp(min=1e-12)).max())
        if gap < _TOLERATED_GAP:
            return None
        return (
            f"contributions of FullGrad miss the output by {gap:.2%} of their size: the network has operations whose "
            "biases are not known (attention, gates, layer normalization)"
        )

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        size = (images.shape[-2], images.shape[-1])
        total = torch.zeros(len(images), *size, device=images.device)

        def add(contributions: Tensor) -> None:
            if contributions.ndim == images.ndim:
                # Enlarging is linear: the sum of channels is enlarged in the place of every channel.
                channels = self._rescaled(contributions.detach().abs()).sum(dim=1, keepdim=True)
                total.add_(interpolate(channels, size=size, mode="bilinear", align_corners=False)[:, 0])

        of_input, _ = full_gradient(self.classifier, images, targets, take=add)
        add(of_input)
        return total

    def _rescaled(self, sizes: Tensor) -> Tensor:
        """Magnitudes (B, C, h, w) of each layer or channel from 0 to 1; all 0 where they are equal."""
        over = (1, 2, 3) if self.rescaling == "layer" else (2, 3)
        lowest, highest = sizes.amin(dim=over, keepdim=True), sizes.amax(dim=over, keepdim=True)
        spread = highest - lowest
        says_something = spread > _LEAST_SPREAD * highest
        return torch.where(says_something, (sizes - lowest) / torch.where(says_something, spread, 1.0), 0.0)
