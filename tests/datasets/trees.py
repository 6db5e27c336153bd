"""Tiny folders in the layouts in which public data arrive, one per dataset that reads files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .rsna_tree import write_rsna_tree

HAM_DIAGNOSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def write_image_folder(root: Path) -> Path:
    """Twelve images of two classes with a mask each."""
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    lines = ["name,label"]
    for place in range(12):
        image = np.random.default_rng(place).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(image).save(root / "images" / f"i{place}.png")
        mask = np.zeros((24, 32), dtype=np.uint8)
        mask[place : place + 8, 5:20] = 255
        Image.fromarray(mask).save(root / "masks" / f"i{place}.png")
        lines.append(f"i{place},{'cat' if place % 2 else 'dog'}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def write_ham_tree(root: Path, *, per_diagnosis: int = 3) -> Path:
    """Some lesions of each diagnosis, one photo and one mask each."""
    masks = root / "HAM10000_segmentations_lesion_tschandl"
    for folder in (root / "HAM10000_images_part_1", root / "HAM10000_images_part_2", masks):
        folder.mkdir(parents=True)
    lines = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    for number in range(per_diagnosis * len(HAM_DIAGNOSES)):
        name = f"ISIC_{number:07d}"
        image = np.random.default_rng(number).integers(60, 200, (18, 24, 3), dtype=np.uint8)
        Image.fromarray(image).save(root / f"HAM10000_images_part_{1 + number % 2}" / f"{name}.jpg")
        mask = np.zeros((18, 24), dtype=np.uint8)
        mask[4:12, 6 : 14 + number % 7] = 255
        Image.fromarray(mask).save(masks / f"{name}_segmentation.png")
        lines.append(f"HAM_{number},{name},{HAM_DIAGNOSES[number // per_diagnosis]},histo,50.0,male,back")
    (root / "HAM10000_metadata.csv").write_text("\n".join(lines) + "\n")
    return root


def write_medmnist(root: Path, *, name: str = "pneumoniamnist", **changes: Any) -> Path:
    """One set with a few images per split; ``changes`` replaces arrays by name, None removes one."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, number in (("train", 12), ("val", 4), ("test", 6)):
        shape = (number, 28, 28, 3) if name in ("dermamnist", "retinamnist") else (number, 28, 28)
        columns, most = (14, 2) if name == "chestmnist" else (1, 5 if name == "retinamnist" else 2)
        arrays[f"{split}_images"] = rng.integers(0, 256, shape, dtype=np.uint8)
        arrays[f"{split}_labels"] = rng.integers(0, most, (number, columns), dtype=np.uint8)
    arrays.update(changes)
    np.savez(root / f"{name}.npz", **{key: value for key, value in arrays.items() if value is not None})
    return root


def examples(folder: Path) -> Mapping[str, dict[str, Any]]:
    """Parameters of a small example of every dataset of the catalog; files are written below ``folder``."""
    return {
        "synthetic_lesions": {"n_images": 5, "image_size": 32},
        "synthetic_radiographs": {"n_images": 7, "image_size": 32},
        "digits_grid": {"n_images": 5, "image_size": 32},
        "image_folder": {"root": str(write_image_folder(folder / "pets")), "image_size": 20},
        "ham10000": {"root": str(write_ham_tree(folder / "ham")), "image_size": 20, "split": "all"},
        "rsna_pneumonia": {"root": str(write_rsna_tree(folder / "rsna")), "image_size": 32, "split": "all"},
        "medmnist": {"root": str(write_medmnist(folder / "mnist")), "name": "pneumoniamnist"},
    }
