"""The metrics that a suite can name."""

from ...datasets import Catalog
from .completeness import Completeness
from .complexity import Complexity, EffectiveComplexity, Sparseness
from .faithfulness_correlation import FaithfulnessCorrelation, FaithfulnessEstimate
from .infidelity import Infidelity
from .insertion_deletion import DeletionAuc, InsertionAuc, InsertionMinusDeletion
from .irof import Irof
from .localization import RelevanceMassAccuracy, RelevanceRankAccuracy
from .metric import Metric
from .other_target_mass import OtherTargetMass
from .parameter_randomization import ParameterRandomization
from .pointing import PointingGame, TopKIntersection
from .region_separation import AttributionLocalization, LocalizationAuc
from .removal import Comprehensiveness, PixelFlipping, Sufficiency
from .road import Road
from .robustness import AverageSensitivity, LocalLipschitz, MaxSensitivity
from .wrong_target import RandomLogit, WrongTargetSimilarity

METRICS: Catalog[Metric] = Catalog("metric", entry_point_group="xaibench.metrics")

for _metric in (
    RelevanceMassAccuracy,
    RelevanceRankAccuracy,
    PointingGame,
    TopKIntersection,
    AttributionLocalization,
    LocalizationAuc,
    Complexity,
    Sparseness,
    EffectiveComplexity,
    InsertionAuc,
    DeletionAuc,
    InsertionMinusDeletion,
    PixelFlipping,
    FaithfulnessEstimate,
    FaithfulnessCorrelation,
    Road,
    Irof,
    Infidelity,
    Sufficiency,
    Comprehensiveness,
    OtherTargetMass,
    WrongTargetSimilarity,
    MaxSensitivity,
    AverageSensitivity,
    LocalLipschitz,
    ParameterRandomization,
    RandomLogit,
    Completeness,
):
    METRICS.register(_metric.name, _metric)
