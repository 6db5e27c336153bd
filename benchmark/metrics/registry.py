"""The metrics that a suite can name."""

from ...datasets import Catalog
from .complexity import Complexity, Sparseness
from .localization import RelevanceMassAccuracy, RelevanceRankAccuracy
from .metric import Metric

METRICS: Catalog[Metric] = Catalog("metric", entry_point_group="xaibench.metrics")

for _metric in (RelevanceMassAccuracy, RelevanceRankAccuracy, Complexity, Sparseness):
    METRICS.register(_metric.name, _metric)
