"""Explainers that follow the gradient back to the pixels."""

from .basic import GradientShapExplainer, InputXGradientExplainer, IntegratedGradientsExplainer, SaliencyExplainer

__all__ = ["GradientShapExplainer", "InputXGradientExplainer", "IntegratedGradientsExplainer", "SaliencyExplainer"]
