"""Explainers that follow the attention of transformers."""

from .rollout import AttentionRolloutExplainer, GradientRolloutExplainer

__all__ = ["AttentionRolloutExplainer", "GradientRolloutExplainer"]
