"""Procedural frontal chest radiographs."""

from .dataset import SyntheticRadiographs

__all__ = ["SyntheticRadiographs"]
