"""xaibench: benchmark explanations of image classifiers.

The public API lives in the three packages ``xaibench.datasets``, ``xaibench.explainers`` and ``xaibench.benchmark``.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("xaibench")
except PackageNotFoundError:  # imported from a checkout that is not installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
