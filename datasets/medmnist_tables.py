"""What the two-dimensional sets of MedMNIST hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .sample import Task

_ORGANS = (
    "bladder",
    "femur_left",
    "femur_right",
    "heart",
    "kidney_left",
    "kidney_right",
    "liver",
    "lung_left",
    "lung_right",
    "pancreas",
    "spleen",
)


@dataclass(frozen=True, kw_only=True)
class MedMnistSet:
    """Facts about one set.

    Attributes:
        output_names: The labels in their order; for regression one name of the value.
        channels: Channels of an image.
        task: What the labels mean.
        license: License of the images.
    """

    output_names: tuple[str, ...]
    channels: int
    task: Task = Task.MULTICLASS
    license: str = "CC BY 4.0"


MEDMNIST_SETS: Mapping[str, MedMnistSet] = MappingProxyType(
    {
        "pathmnist": MedMnistSet(
            output_names=(
                "adipose",
                "background",
                "debris",
                "lymphocytes",
                "mucus",
                "smooth_muscle",
                "normal_colon_mucosa",
                "cancer_associated_stroma",
                "colorectal_adenocarcinoma_epithelium",
            ),
            channels=3,
        ),
        "chestmnist": MedMnistSet(
            output_names=(
                "atelectasis",
                "cardiomegaly",
                "effusion",
                "infiltration",
                "mass",
                "nodule",
                "pneumonia",
                "pneumothorax",
                "consolidation",
                "edema",
                "emphysema",
                "fibrosis",
                "pleural",
                "hernia",
            ),
            channels=1,
            task=Task.MULTILABEL,
        ),
        # The images of HAM10000, in the order of the labels of its diagnoses.
        "dermamnist": MedMnistSet(
            output_names=("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"), channels=3, license="CC BY-NC 4.0"
        ),
        "octmnist": MedMnistSet(
            output_names=("choroidal_neovascularization", "diabetic_macular_edema", "drusen", "normal"), channels=1
        ),
        "pneumoniamnist": MedMnistSet(output_names=("normal", "pneumonia"), channels=1),
        "retinamnist": MedMnistSet(output_names=("retinopathy_grade",), channels=3, task=Task.REGRESSION),
        "breastmnist": MedMnistSet(output_names=("malignant", "normal_or_benign"), channels=1),
        "bloodmnist": MedMnistSet(
            output_names=(
                "basophil",
                "eosinophil",
                "erythroblast",
                "immature_granulocyte",
                "lymphocyte",
                "monocyte",
                "neutrophil",
                "platelet",
            ),
            channels=3,
        ),
        "tissuemnist": MedMnistSet(
            output_names=(
                "collecting_duct",
                "distal_convoluted_tubule",
                "glomerular_endothelial_cells",
                "interstitial_endothelial_cells",
                "leukocytes",
                "podocytes",
                "proximal_tubule_segments",
                "thick_ascending_limb",
            ),
            channels=1,
        ),
        "organamnist": MedMnistSet(output_names=_ORGANS, channels=1),
        "organcmnist": MedMnistSet(output_names=_ORGANS, channels=1),
        "organsmnist": MedMnistSet(output_names=_ORGANS, channels=1),
    }
)
