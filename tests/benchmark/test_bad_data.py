"""Data with mistakes at the command line: one line that names file and remedy, no traceback, exit code 2."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from xaibench.benchmark.cli import main

from ..datasets.rsna_tree import (
    class_lines,
    grey,
    label_lines,
    write_classes,
    write_dicom,
    write_rsna_tree,
    write_table,
)
from ..datasets.trees import write_ham_tree, write_image_folder, write_medmnist

Damage = Callable[[Path], object]

WRITERS = {
    "image_folder": (write_image_folder, ()),
    "ham10000": (write_ham_tree, ("split=all", "image_size=20")),
    "rsna_pneumonia": (write_rsna_tree, ("split=all", "image_size=20")),
    "medmnist": (write_medmnist, ("name=pneumoniamnist",)),
    "synthetic_lesions": (None, ("n_images=2", "image_size=32")),
    "synthetic_radiographs": (None, ("n_images=2", "image_size=32")),
    "digits_grid": (None, ("n_images=2", "image_size=32")),
}

HAM_IMAGE, HAM_MASKS = "HAM10000_images_part_1/ISIC_0000000.jpg", "HAM10000_segmentations_lesion_tschandl"
RSNA_IMAGES = "stage_2_train_images"


def remove(name: str) -> Damage:
    return lambda root: shutil.rmtree(root / name) if (root / name).is_dir() else (root / name).unlink()


def content(name: str, data: bytes) -> Damage:
    return lambda root: (root / name).write_bytes(data)


def half(name: str) -> Damage:
    def damage(root: Path) -> None:
        whole = (root / name).read_bytes()
        (root / name).write_bytes(whole[: len(whole) // 2])

    return damage


def replace(name: str, old: str, new: str) -> Damage:
    def damage(root: Path) -> None:
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new, 1))

    return damage


def picture(name: str, size: tuple[int, int]) -> Damage:
    return lambda root: Image.new("L", size, 255).save(root / name)


def copy(source: str, target: str) -> Damage:
    return lambda root: shutil.copy(root / source, root / target)


def dicom(name: str, **elements: object) -> Damage:
    return lambda root: write_dicom(root / RSNA_IMAGES / name, grey(0), **elements)


def labels(*more: str) -> Damage:
    return lambda root: write_table(root, [*label_lines(), *more])


BAD = [
    # dataset, what is damaged, parameters, what the one line must say: the file (or the parameter), and the remedy
    ("image_folder", remove("images"), (), ["images: no such folder", "wanted images"]),
    ("image_folder", remove("labels.csv"), (), ["labels.csv: no such file", "wanted a CSV table"]),
    ("image_folder", replace("labels.csv", "name,", "file,"), (), ["no column 'name'", "wanted"]),
    ("image_folder", replace("labels.csv", "i3,cat", "i33,cat"), (), ["line 5", "no image 'i33'", "remove the row"]),
    ("image_folder", replace("labels.csv", "i3,cat\n", ""), (), ["no row for i3.png", "add the rows"]),
    ("image_folder", replace("labels.csv", "i3,cat", "i2,cat"), (), ["i2.png", "line 4", "line 5", "remove one"]),
    ("image_folder", content("images/i3.png", b""), (), ["i3.png", "empty", "replace or remove"]),
    ("image_folder", half("images/i3.png"), (), ["i3.png", "damaged", "replace or remove"]),
    ("image_folder", picture("masks/i3.png", (32, 25)), (), ["masks/i3.png", "32x25", "export the mask again"]),
    ("image_folder", copy("masks/i3.png", "masks/i33.png"), (), ["i33.png", "a mask without an image", "wanted"]),
    ("image_folder", copy("images/i3.png", "images/i3.jpg"), (), ["i3.jpg and i3.png", "wanted one"]),
    ("image_folder", None, ("group_column=patient",), ["no column 'patient'", "wanted"]),
    ("ham10000", remove("HAM10000_metadata.csv"), (), ["HAM10000_metadata.csv", "doi.org"]),
    ("ham10000", replace("HAM10000_metadata.csv", "akiec", "akeic"), (), ["line 2", "did you mean 'akiec'"]),
    ("ham10000", replace("HAM10000_metadata.csv", "0000001,", "0000000,"), (), ["'ISIC_0000000'", "remove one"]),
    ("ham10000", replace("HAM10000_metadata.csv", "HAM_0,", ""), (), ["line 2 has 6 values", "wanted 7"]),
    ("ham10000", content(HAM_IMAGE, b"no image"), (), ["ISIC_0000000.jpg", "replace or remove"]),
    ("ham10000", half(HAM_IMAGE), (), ["ISIC_0000000.jpg", "replace or remove"]),
    (
        "ham10000",
        picture(f"{HAM_MASKS}/ISIC_0000000_segmentation.png", (48, 36)),
        (),
        ["ISIC_0000000_segmentation.png: mask is 48x36", "ISIC_0000000.jpg is 24x18", "export the mask again"],
    ),
    ("ham10000", remove(HAM_MASKS), ("masks=true",), ["tschandl: no such folder", "masks = false"]),
    ("ham10000", copy(HAM_IMAGE, "HAM10000_images_part_2"), (), ["part_1/ISIC_0000000.jpg", "remove one"]),
    ("ham10000", None, ("task=melanom",), ["'melanom'", "'diagnosis' or 'melanoma'"]),
    ("ham10000", None, ("protocol=paper",), ["'paper'", "'clean' or 'published'"]),
    ("rsna_pneumonia", remove("stage_2_train_labels.csv"), (), ["labels.csv: no such file", "wanted"]),
    ("rsna_pneumonia", remove(RSNA_IMAGES), (), ["stage_2_train_images: no such folder", "kaggle.com"]),
    ("rsna_pneumonia", labels("p2,40,50,10,10,1"), (), ["line 13 repeats line 12", "remove one"]),
    ("rsna_pneumonia", labels("p0,,,,,0"), (), ["p0 has Target 0 and 1", "wanted one of them"]),
    ("rsna_pneumonia", labels("q,1,2,-3,4,1"), (), ["line 13", "width -3", "wanted an area"]),
    ("rsna_pneumonia", content(f"{RSNA_IMAGES}/n1.dcm", b"x" * 99), (), ["n1.dcm", "99 bytes", "replace or remove"]),
    ("rsna_pneumonia", half(f"{RSNA_IMAGES}/n1.dcm"), (), ["n1.dcm", "cannot be decoded", "replace the file"]),
    ("rsna_pneumonia", dicom("n1.dcm", PhotometricInterpretation="RGB"), (), ["n1.dcm", "wanted MONOCHROME1"]),
    ("rsna_pneumonia", dicom("n1.dcm", RescaleSlope="0", RescaleIntercept="0"), (), ["n1.dcm", "RescaleSlope"]),
    (
        "rsna_pneumonia",
        lambda root: write_dicom(root / RSNA_IMAGES / "p0.dcm", grey(0)[:30, :40]),
        (),
        ["p0.dcm", "outside of the image of 40x30", "correct the row"],
    ),
    (
        "rsna_pneumonia",
        lambda root: write_classes(root, [line.replace("n0,No L", "n0,no l") for line in class_lines()]),
        (),
        ["class_info.csv: line 2", "wanted Normal"],
    ),
    ("rsna_pneumonia", remove("stage_2_detailed_class_info.csv"), ("task=class",), ["class_info.csv", "needs it"]),
    ("rsna_pneumonia", None, ("channels=2",), ["channels", "2"]),
    ("medmnist", remove("pneumoniamnist.npz"), (), ["pneumoniamnist.npz: no such file", "medmnist.com"]),
    ("medmnist", half("pneumoniamnist.npz"), (), ["pneumoniamnist.npz", "get the file again"]),
    ("medmnist", None, ("size=64",), ["pneumoniamnist_64.npz", "medmnist.com"]),
    ("medmnist", None, ("name=pneumonia",), ["did you mean 'pneumoniamnist'"]),
    (
        "medmnist",
        lambda root: write_medmnist(root, test_labels=np.full((6, 1), 9)),
        (),
        ["pneumoniamnist.npz", "labels of test are 9 to 9", "check name"],
    ),
    ("synthetic_lesions", None, ("task=severty",), ["'severty'", "'severity'"]),
    ("synthetic_lesions", None, ("n_lesions=[1, 2]",), ["lower area_scale"]),
    ("synthetic_lesions", None, ('lesion_types=["ring", "network"]',), ["'ring'", "did you mean 'rings'"]),
    ("synthetic_radiographs", None, ("shortcut=2.0",), ["shortcut is 2.0", "wanted a strength"]),
    ("synthetic_radiographs", None, ("regions=shortcut",), ["set shortcut to a strength"]),
    ("synthetic_radiographs", None, ('finding_types=["edema"]',), ["unknown finding 'edema'", "known:"]),
    ("digits_grid", None, ("cells=9",), ["cells is 9", "wanted 1 to 4"]),
    ("digits_grid", None, ("n_digits=[1, 11]",), ["[1, 11]", "from 1 to 10"]),
    ("digits_grid", None, ("n_digits=many",), ["'n_digits' is 'many'"]),
]


def test_there_are_forty_and_every_dataset_has_some() -> None:
    assert len(BAD) >= 40
    assert {name for name, *_ in BAD} == set(WRITERS)


@pytest.mark.parametrize(("name", "damage", "params", "words"), BAD, ids=[f"{row[0]}: {row[3][0]}" for row in BAD])
def test_bad_data_end_with_one_line_and_exit_code_2(
    name: str, damage: Damage | None, params: tuple[str, ...], words: list[str], tmp_path: Path
) -> None:
    write, usual = WRITERS[name]
    arguments = ["datasets", "preview", name, "--images", "200", "--out", str(tmp_path / "sheet.png")]
    if write is not None:
        arguments += ["--root", str(write(tmp_path / "root"))]
    for param in (*usual, *params):
        arguments += ["-d", param]
    if damage is not None:
        damage(tmp_path / "root")
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    errors = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(errors) == 1
    assert errors[0].startswith("Error: ")
    for word in words:
        assert word in errors[0]
    assert not (tmp_path / "sheet.png").exists()
