"""Explainers that are networks: trained once, one pass per map."""

from .fast_shap import FastShapExplainer
from .nn_explainer import NnExplainer

__all__ = ["FastShapExplainer", "NnExplainer"]
