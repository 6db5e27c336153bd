"""Class activation maps: weighted sums of feature maps."""

from .explainers import (
    EigenCamExplainer,
    GradCamExplainer,
    GradCamPlusPlusExplainer,
    HiResCamExplainer,
    LayerCamExplainer,
    ScoreCamExplainer,
)
from .guided_gradcam import GuidedGradCamExplainer

__all__ = [
    "EigenCamExplainer",
    "GradCamExplainer",
    "GradCamPlusPlusExplainer",
    "GuidedGradCamExplainer",
    "HiResCamExplainer",
    "LayerCamExplainer",
    "ScoreCamExplainer",
]
