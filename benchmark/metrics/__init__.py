"""What a good explanation is, in numbers: metrics over prepared attributions."""

from .complexity import Complexity, Sparseness
from .context import ScoringContext
from .localization import RelevanceMassAccuracy, RelevanceRankAccuracy
from .metric import Metric, MetricError, Need
from .registry import METRICS

__all__ = [
    "METRICS",
    "Complexity",
    "Metric",
    "MetricError",
    "Need",
    "RelevanceMassAccuracy",
    "RelevanceRankAccuracy",
    "ScoringContext",
    "Sparseness",
]
