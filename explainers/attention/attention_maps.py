"""The attention that a transformer computes on its way."""

from math import sqrt
from typing import Any

import torch
from torch import Tensor

from ..classifiers import Classifier
from ..gradient.backward_rules import BackwardRules, Operation, name_of


def logits_and_attention(classifier: Classifier, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Logits, and what every block's tokens attend to.

    Fused attention, which never shows its weights, is computed step by step instead.

    Args:
        classifier: A network with self-attention among all tokens of an image.
        images: float32 (B, C, H, W) in [0, 1].

    Returns:
        Logits (B, K), and per block attention (B, heads, N, N), whose rows sum to 1; part of the graph of the logits.
    """
    found: list[Tensor] = []

    def record(attention: Any) -> None:
        is_square = isinstance(attention, Tensor) and attention.ndim == 4 and attention.shape[2] == attention.shape[3]
        if is_square and len(attention) == len(images):
            found.append(attention)

    def watch(func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = name_of(func)
        if name == "scaled_dot_product_attention":
            attention, values = _attention(*args, **kwargs)
            record(attention)
            return attention @ values
        if name != "softmax":
            return NotImplemented
        attention = func(*args, **kwargs)
        record(attention)
        return attention

    with BackwardRules(watch):
        logits = classifier(images)
    return logits, found


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Tensor, Tensor]:
    """Attention weights and values; arguments as of torch's function (no dropout: the classifier is in eval mode)."""
    factor = 1 / sqrt(query.shape[-1]) if scale is None else scale
    similarity = query @ key.transpose(-2, -1) * factor
    if is_causal:
        later = torch.ones(similarity.shape[-2:], dtype=torch.bool, device=query.device).triu(1)
        similarity = similarity.masked_fill(later, float("-inf"))
    if attn_mask is not None:
        is_switch = attn_mask.dtype == torch.bool
        similarity = similarity.masked_fill(~attn_mask, float("-inf")) if is_switch else similarity + attn_mask
    return similarity.softmax(dim=-1), value
