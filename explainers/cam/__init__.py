"""Class activation maps: weighted sums of feature maps."""

from .gradcam import GradCamExplainer

__all__ = ["GradCamExplainer"]
