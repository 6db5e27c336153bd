"""Explainers that change the image and watch the answer."""

from .extremal import ExtremalPerturbationExplainer
from .meaningful import MeaningfulPerturbationExplainer
from .occlusion import OcclusionExplainer
from .relax import RelaxExplainer, UncertainRelaxExplainer
from .rise import RiseExplainer
from .superpixels import KernelShapExplainer, LimeExplainer

__all__ = [
    "ExtremalPerturbationExplainer",
    "KernelShapExplainer",
    "LimeExplainer",
    "MeaningfulPerturbationExplainer",
    "OcclusionExplainer",
    "RelaxExplainer",
    "RiseExplainer",
    "UncertainRelaxExplainer",
]
