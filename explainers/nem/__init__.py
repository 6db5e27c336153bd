"""The NEM family: masks from a decoder on the classifier's own features."""

from .nem_u import NemUExplainer
from .nemt import NemtExplainer
from .nemt_published import NemtPublishedExplainer

__all__ = ["NemUExplainer", "NemtExplainer", "NemtPublishedExplainer"]
