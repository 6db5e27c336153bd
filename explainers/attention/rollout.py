"""Attention rollout, plain and weighted by gradients."""

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ...datasets import InputError
from ..classifiers import Classifier
from ..explainer import Explainer
from .attention_maps import logits_and_attention


class _RolloutExplainer(Explainer):
    """Base: how much of each image token reaches the token (or the mean of tokens) that is read."""

    family = "attention"

    @classmethod
    def unsupported(cls, classifier: Classifier) -> str | None:
        """It needs blocks in which all tokens of an image attend to each other."""
        side = classifier.image_size
        probe = torch.zeros(2, classifier.channels, side, side, device=classifier.device)
        with torch.no_grad():
            _, attention = logits_and_attention(classifier, probe)
        try:
            layout = classifier.map_layout(classifier.feature_layers[-1])
        except InputError as error:
            return str(error)
        n_tokens = layout.extra_tokens + layout.grid[0] * layout.grid[1]
        if layout.kind == "tokens" and attention and {one.shape[-1] for one in attention} == {n_tokens}:
            return None
        return "the network has no attention among all tokens of an image, as a vision transformer has"

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        rollout = self._rollout(images, targets)
        size = (images.shape[-2], images.shape[-1])
        layout = self.classifier.map_layout(self.classifier.feature_layers[-1])
        # What is read is a class token, the first one, or else the mean of all.
        read = rollout[:, 0] if layout.extra_tokens else rollout.mean(dim=1)
        maps = layout.maps(read[:, :, None], image_size=size)
        return interpolate(maps, size=size, mode="bilinear", align_corners=False)[:, 0].float()

    @abstractmethod
    def _rollout(self, images: Tensor, targets: Tensor) -> Tensor:
        """What reaches each token after the last block from each token before the first: (B, N, N)."""


class AttentionRolloutExplainer(_RolloutExplainer):
    """Attention of all blocks multiplied up, half of every token passing by on the shortcut; the same for every target.

    References:
        Abnar, Zuidema, ACL 2020, section 3, with the mean over heads.
    """

    citation = "Abnar, Zuidema, ACL 2020"
    passes = "1 forward"
    ignores_target = True

    def _rollout(self, images: Tensor, targets: Tensor) -> Tensor:
        with torch.no_grad():
            _, attention = logits_and_attention(self.classifier, images)
            return rolled_out(attention)


class GradientRolloutExplainer(_RolloutExplainer):
    """Attention times its gradient, positive part, added up over blocks.

    References:
        Chefer, Gur, Wolf, ICCV 2021, equations 5 and 6 (self-attention).
    """

    citation = "Chefer, Gur, Wolf, ICCV 2021"
    passes = "1 forward, 1 backward"

    def _rollout(self, images: Tensor, targets: Tensor) -> Tensor:
        logits, attention = logits_and_attention(self.classifier, images.requires_grad_())
        gradients = torch.autograd.grad(logits.gather(1, targets[:, None]).sum(), attention)
        return added_up([one.detach() for one in attention], list(gradients))


def rolled_out(attention: list[Tensor]) -> Tensor:
    """Product of (mean over heads + identity) / 2 over blocks: (B, heads, N, N) each, to (B, N, N)."""
    identity = torch.eye(attention[0].shape[-1], device=attention[0].device)
    result = identity.expand(len(attention[0]), -1, -1)
    for one in attention:
        result = (one.mean(dim=1) + identity) / 2 @ result
    return result


def added_up(attention: list[Tensor], gradients: list[Tensor]) -> Tensor:
    """R plus, per block, the mean over heads of the positive part of gradient × attention, times R; less identity."""
    identity = torch.eye(attention[0].shape[-1], device=attention[0].device)
    result = identity.expand(len(attention[0]), -1, -1)
    for one, gradient in zip(attention, gradients, strict=True):
        result = result + (gradient * one).clamp(min=0).mean(dim=1) @ result
    return result - identity
