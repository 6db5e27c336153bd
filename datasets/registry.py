"""The datasets that a suite can name."""

from .catalog import Catalog
from .dataset import Dataset
from .digits_grid import DigitsGrid
from .ham10000 import HAM10000
from .image_folder import ImageFolder
from .medmnist import MedMnist
from .radiographs import SyntheticRadiographs
from .rsna_pneumonia import RsnaPneumonia
from .synthetic_lesions import SyntheticLesions

DATASETS: Catalog[Dataset] = Catalog("dataset", entry_point_group="xaibench.datasets")
DATASETS.register("synthetic_lesions", SyntheticLesions)
DATASETS.register("synthetic_radiographs", SyntheticRadiographs)
DATASETS.register("ham10000", HAM10000)
DATASETS.register("rsna_pneumonia", RsnaPneumonia)
DATASETS.register("image_folder", ImageFolder)
DATASETS.register("digits_grid", DigitsGrid)
DATASETS.register("medmnist", MedMnist)
