"""The NEM family: masks from a decoder on the classifier's own features."""

from .nemt import NemtExplainer

__all__ = ["NemtExplainer"]
