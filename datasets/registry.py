"""The datasets that a suite can name."""

from .catalog import Catalog
from .dataset import Dataset
from .synthetic_lesions import SyntheticLesions

DATASETS: Catalog[Dataset] = Catalog("dataset", entry_point_group="xaibench.datasets")
DATASETS.register("synthetic_lesions", SyntheticLesions)
