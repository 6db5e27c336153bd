"""Explainers that change the image and watch the answer."""

from .occlusion import OcclusionExplainer
from .relax import RelaxExplainer, UncertainRelaxExplainer
from .rise import RiseExplainer

__all__ = ["OcclusionExplainer", "RelaxExplainer", "RiseExplainer", "UncertainRelaxExplainer"]
