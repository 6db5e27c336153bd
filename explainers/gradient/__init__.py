"""Explainers that follow the gradient back to the pixels."""

from .basic import GradientShapExplainer, InputXGradientExplainer, IntegratedGradientsExplainer, SaliencyExplainer
from .deep_lift import DeepLiftExplainer
from .full_grad import FullGradExplainer
from .guided import GuidedBackpropExplainer
from .lrp import LrpExplainer
from .sampled import ExpectedGradientsExplainer, SmoothGradExplainer, VarGradExplainer

__all__ = [
    "DeepLiftExplainer",
    "ExpectedGradientsExplainer",
    "FullGradExplainer",
    "GradientShapExplainer",
    "GuidedBackpropExplainer",
    "InputXGradientExplainer",
    "IntegratedGradientsExplainer",
    "LrpExplainer",
    "SaliencyExplainer",
    "SmoothGradExplainer",
    "VarGradExplainer",
]
