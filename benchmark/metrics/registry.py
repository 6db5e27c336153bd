"""The metrics that a suite can name."""

from ...datasets import Catalog
from .complexity import Complexity, Sparseness
from .insertion_deletion import DeletionAuc, InsertionAuc, InsertionMinusDeletion
from .localization import RelevanceMassAccuracy, RelevanceRankAccuracy
from .metric import Metric

METRICS: Catalog[Metric] = Catalog("metric", entry_point_group="xaibench.metrics")

for _metric in (
    RelevanceMassAccuracy,
    RelevanceRankAccuracy,
    Complexity,
    Sparseness,
    InsertionAuc,
    DeletionAuc,
    InsertionMinusDeletion,
):
    METRICS.register(_metric.name, _metric)
