"""Weights that ship with the package; README.md says how each was made."""
