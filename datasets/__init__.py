"""What is explained: datasets, samples and cases."""

from .case import Case, CaseBatch, TargetRule, sample_batches, targets_of
from .catalog import Catalog, closest_match
from .dataset import Dataset, Split
from .digits_grid import DigitsGrid
from .errors import InputError
from .ham10000 import HAM10000
from .hashing import fingerprint, tensors_fingerprint
from .image_files import read_image
from .image_folder import ImageFolder
from .in_memory import InMemory
from .medmnist import MedMnist
from .radiographs import SyntheticRadiographs
from .registry import DATASETS
from .rsna_pneumonia import RsnaPneumonia
from .sample import DatasetInfo, MaskKind, Sample, Task
from .synthetic_lesions import SyntheticLesions

__all__ = [
    "DATASETS",
    "HAM10000",
    "Case",
    "CaseBatch",
    "Catalog",
    "Dataset",
    "DatasetInfo",
    "DigitsGrid",
    "ImageFolder",
    "InMemory",
    "InputError",
    "MaskKind",
    "MedMnist",
    "RsnaPneumonia",
    "Sample",
    "Split",
    "SyntheticLesions",
    "SyntheticRadiographs",
    "TargetRule",
    "Task",
    "closest_match",
    "fingerprint",
    "read_image",
    "sample_batches",
    "targets_of",
    "tensors_fingerprint",
]
