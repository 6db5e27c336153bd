"""What is explained: datasets, samples and cases."""

from .case import Case, CaseBatch, TargetRule, sample_batches, targets_of
from .catalog import Catalog, closest_match
from .dataset import Dataset, Split
from .errors import InputError
from .hashing import fingerprint, tensors_fingerprint
from .registry import DATASETS
from .sample import DatasetInfo, MaskKind, Sample, Task
from .synthetic_lesions import SyntheticLesions

__all__ = [
    "DATASETS",
    "Case",
    "CaseBatch",
    "Catalog",
    "Dataset",
    "DatasetInfo",
    "InputError",
    "MaskKind",
    "Sample",
    "Split",
    "SyntheticLesions",
    "TargetRule",
    "Task",
    "closest_match",
    "fingerprint",
    "sample_batches",
    "targets_of",
    "tensors_fingerprint",
]
