"""Explainers that change the image and watch the answer."""

from .occlusion import OcclusionExplainer

__all__ = ["OcclusionExplainer"]
