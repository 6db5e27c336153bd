"""The layout of the RSNA challenge: boxes to the pixel, splits, and what is refused with which words."""

import collections
import importlib.resources
import itertools
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xaibench.datasets import DATASETS, InputError, MaskKind, RsnaPneumonia, Task
from xaibench.datasets.published_splits import published_split
from xaibench.datasets.rsna_tables import Box, read_patients

from .rsna_tree import (
    BOXES,
    NORMAL,
    SIZE,
    class_lines,
    grey,
    label_lines,
    write_classes,
    write_dicom,
    write_rsna_tree,
    write_table,
)


@pytest.fixture
def root(tmp_path) -> Path:
    return write_rsna_tree(tmp_path / "rsna")


def region_of(name: str, image_size: int) -> np.ndarray:
    region = np.zeros(SIZE, dtype=np.uint8)
    for x, y, width, height in BOXES.get(name, ()):
        region[y : y + height, x : x + width] = 1
    return np.asarray(Image.fromarray(region).resize((image_size, image_size), Image.Resampling.NEAREST)) > 0


@pytest.mark.parametrize("image_size", [25, 60, 140])
def test_all_boxes_of_a_patient_are_one_region(root, image_size):
    dataset = RsnaPneumonia(root=root, split="all", image_size=image_size)
    assert [sample.sample_id for sample in dataset] == [*NORMAL, *BOXES]
    for sample in dataset:
        assert sample.image.shape == (1, image_size, image_size)
        positive = sample.sample_id in BOXES
        assert sample.outputs.tolist() == ([0.0, 1.0] if positive else [1.0, 0.0])
        assert not sample.gt_masks[0].any()
        assert np.array_equal(sample.gt_masks[1].numpy(), region_of(sample.sample_id, image_size))
    assert torch.equal(dataset.outputs(), torch.stack([sample.outputs for sample in dataset]))
    assert dataset.info.mask_kind is MaskKind.BOX
    assert dataset.info.task is Task.MULTICLASS
    assert dataset.info.channels == 1
    with pytest.raises(IndexError):
        dataset[8]


def test_the_first_box_alone_would_be_a_third_of_the_region(root):
    # What the published loader kept: the mistake that this dataset must not repeat.
    (sample,) = [one for one in RsnaPneumonia(root=root, split="all", image_size=60) if one.sample_id == "p0"]
    x, y, width, height = BOXES["p0"][0]
    first = np.zeros(SIZE, dtype=np.uint8)
    first[y : y + height, x : x + width] = 1
    first = np.asarray(Image.fromarray(first).resize((60, 60), Image.Resampling.NEAREST))
    assert first.sum() < 0.45 * int(sample.gt_masks[1].sum())


def test_images_of_every_kind_have_the_same_brightness(root):
    # A ramp from dark to bright in each, but for the one in which low values are bright.
    for sample in RsnaPneumonia(root=root, split="all", image_size=30):
        upper, lower = sample.image[0, :10].mean(), sample.image[0, -10:].mean()
        assert (lower > upper) == (sample.sample_id != "p1")


def test_three_classes_and_three_channels(root):
    dataset = RsnaPneumonia(root=root, split="all", task="class", channels=3, image_size=30)
    assert dataset.info.output_names == ("normal", "not_normal", "lung_opacity")
    assert dataset.outputs().argmax(dim=1).tolist() == [1, 0, 1, 0, 1, 2, 2, 2]
    sample = dataset[5]
    assert sample.image.shape == (3, 30, 30)
    assert torch.equal(sample.image[0], sample.image[2])
    assert sample.gt_masks.flatten(1).any(dim=1).tolist() == [False, False, True]


def test_absent_images_are_left_out_and_counted(root):
    for name in ("p1", "n3"):
        (root / "stage_2_train_images" / f"{name}.dcm").unlink()
    dataset = RsnaPneumonia(root=root, split="all", image_size=30)
    assert [sample.sample_id for sample in dataset] == ["n0", "n1", "n2", "n4", "p0", "p2"]
    assert dataset.info.notes == ("2 of 8 listed images are absent and left out",)


def test_a_corrupt_file_is_named_when_it_is_loaded(root):
    (root / "stage_2_train_images" / "n1.dcm").write_bytes(b"\0" * 200)
    dataset = RsnaPneumonia(root=root, split="all", image_size=30)
    assert dataset[0].sample_id == "n0"
    with pytest.raises(InputError, match=r"n1\.dcm: the file of 200 bytes is no DICOM file"):
        dataset[1]


def test_a_box_beyond_the_image_is_named_when_it_is_loaded(root):
    write_dicom(root / "stage_2_train_images" / "p0.dcm", grey(0)[:30, :40])
    dataset = RsnaPneumonia(root=root, split="all", image_size=30)
    with pytest.raises(InputError, match=r"p0\.dcm: the box from \(\d+, \d+\) to .* outside of the image of 40x30"):
        dataset[5]


def test_the_fingerprint_follows_content_and_settings(root):
    def fingerprint(**settings):
        return RsnaPneumonia(root=root, **{"split": "all", "image_size": 30, **settings}).info.fingerprint

    seen = [fingerprint(), fingerprint(task="class"), fingerprint(channels=3), fingerprint(image_size=31)]
    assert fingerprint() == seen[0]
    write_dicom(root / "stage_2_train_images" / "n0.dcm", grey(99))
    seen.append(fingerprint())
    write_table(root, [line.replace("p1,20.0", "p1,21.0") for line in label_lines()])
    seen.append(fingerprint())
    assert len(set(seen)) == len(seen)


def remove(name: str):
    def damage(root: Path) -> None:
        target = root / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return damage


def labels(change):
    return lambda root: write_table(root, change(label_lines()))


def classes(change):
    return lambda root: write_classes(root, change(class_lines()))


def header(text: str):
    return lambda root: (root / "stage_2_train_labels.csv").write_text(text)


def no_images(root: Path) -> None:
    for path in (root / "stage_2_train_images").iterdir():
        path.unlink()


BAD = [
    (remove(""), {}, ["rsna: no such folder", "kaggle.com"]),
    (remove("stage_2_train_labels.csv"), {}, ["stage_2_train_labels.csv: no such file", "patientId"]),
    (remove("stage_2_train_images"), {}, ["stage_2_train_images: no such folder", "kaggle.com"]),
    (no_images, {}, ["none of the 8 listed images", "n0.dcm"]),
    (header("patientId,x,y,Target\na,1,2,0\n"), {}, ["no column 'width'"]),
    (header("patientId,x,y,width,height,Target\n"), {}, ["at least one row"]),
    (labels(lambda lines: [*lines, lines[-1]]), {}, ["line 13 repeats line 12", "patient p2", "remove one"]),
    (labels(lambda lines: [*lines, "n0,,,,,0"]), {}, ["line 13 repeats line 2", "patient n0"]),
    (labels(lambda lines: [*lines, "p0,,,,,0"]), {}, ["patient p0 has Target 0 and 1", "7, 8, 13"]),
    (labels(lambda lines: [*lines, "q,,,,,2"]), {}, ["line 13", "Target is '2'", "0 or 1"]),
    (labels(lambda lines: [*lines, "q,1,2,,4,1"]), {}, ["line 13", "width is ''", "number of pixels"]),
    (labels(lambda lines: [*lines, "q,1,two,3,4,1"]), {}, ["line 13", "y is 'two'"]),
    (labels(lambda lines: [*lines, "q,1,2,0,4,1"]), {}, ["line 13", "width 0", "wanted an area"]),
    (labels(lambda lines: [*lines, "q,1,2"]), {}, ["line 13 has 3 values"]),
    (
        classes(lambda lines: [line.replace("p1,Lung O", "p1,Lung o") for line in lines]),
        {},
        ["'Lung opacity'", "wanted"],
    ),
    (classes(lambda lines: lines[1:]), {}, ["no row for patient n0"]),
    (classes(lambda lines: [*lines, "n0,Normal"]), {}, ["patient n0", "'Normal' here", "before"]),
    (
        classes(lambda lines: [line.replace("p1,Lung Opacity", "p1,Normal") for line in lines]),
        {},
        ["patient p1 has class 'Normal'", "Target 1"],
    ),
    (remove("stage_2_detailed_class_info.csv"), {"task": "class"}, ["class_info.csv: no such file", "needs it"]),
    (None, {"task": "classes"}, ["'classes'", "did you mean 'class'"]),
    (None, {"split": "dev"}, ["'dev'", "train, val, test or all"]),
    (None, {"image_size": 8}, ["image_size is 8"]),
    (None, {"channels": 2}, ["channels is 2"]),
    (None, {"protocol": "paper"}, ["'paper'", "clean or published"]),
    (labels(lambda lines: lines[:1]), {"split": "val"}, ["1 patients leave split 'val' empty"]),
    (labels(lambda lines: lines[-1:]), {"split": "val", "protocol": "published"}, ["too few", "protocol = 'clean'"]),
]


@pytest.mark.parametrize(("damage", "settings", "words"), BAD, ids=[words[0] for _, _, words in BAD])
def test_bad_input_says_what_and_where(root, damage, settings, words):
    if damage is not None:
        damage(root)
    with pytest.raises(InputError) as caught:
        RsnaPneumonia(root=root, **{"split": "all", **settings})
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def real_labels(tmp_path_factory) -> Path:
    """The table of the challenge, which torchxrayvision carries; the images are not there."""
    root = tmp_path_factory.mktemp("real")
    packed = importlib.resources.files("torchxrayvision") / "data" / "kaggle_stage_2_train_labels.csv.zip"
    with importlib.resources.as_file(packed) as path, zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".csv") and "MACOSX" not in name]
        (root / "stage_2_train_labels.csv").write_bytes(archive.read(name))
    return root


def test_the_real_table_has_the_counts_that_are_known(real_labels):
    patients = read_patients(real_labels)
    assert len(patients) == 26684
    numbers = collections.Counter(len(patient.boxes) for patient in patients)
    assert numbers == {0: 26684 - 6012, 1: 2614, 2: 3266, 3: 119, 4: 13}
    assert sum(len(patient.boxes) for patient in patients) == 9555
    shares = [union_area(patient.boxes) / 1024**2 for patient in patients if patient.has_pneumonia]
    assert np.mean(shares) == pytest.approx(0.1175, abs=0.00005)


def union_area(boxes: tuple[Box, ...]) -> int:
    # Cells between all edges: exact, and faster than a million pixels a patient.
    xs = sorted({edge for box in boxes for edge in (box.left, box.right)})
    ys = sorted({edge for box in boxes for edge in (box.top, box.bottom)})
    return sum(
        (right - left) * (bottom - top)
        for left, right in itertools.pairwise(xs)
        for top, bottom in itertools.pairwise(ys)
        if any(b.left <= left and right <= b.right and b.top <= top and bottom <= b.bottom for b in boxes)
    )


def test_the_published_split_has_the_counts_of_the_paper(real_labels):
    strata = [str(int(patient.has_pneumonia)) for patient in read_patients(real_labels)]
    splits = published_split(strata, evaluated="1", stratified=True)
    assert collections.Counter(splits) == {"train": 21347, "val": 4337, "test": 1000}
    assert {stratum for stratum, split in zip(strata, splits, strict=True) if split == "test"} == {"1"}
    for side in (["train"], ["val", "test"]):
        chosen = [stratum == "1" for stratum, split in zip(strata, splits, strict=True) if split in side]
        assert np.mean(chosen) == pytest.approx(6012 / 26684, abs=1e-4)


def test_the_clean_split_is_stratified_and_covers_everyone(tmp_path):
    root = tmp_path / "many"
    (root / "stage_2_train_images").mkdir(parents=True)
    lines = [f"q{n:03d}" + (",1,2,3,4,1" if n % 4 == 0 else ",,,,,0") for n in range(200)]
    write_table(root, lines)
    for n in range(200):
        (root / "stage_2_train_images" / f"q{n:03d}.dcm").write_bytes(b"x")
    splits = {split: RsnaPneumonia(root=root, split=split) for split in ("train", "val", "test")}
    assert {split: len(data) for split, data in splits.items()} == {"train": 140, "val": 20, "test": 40}
    for data in splits.values():
        assert float(data.outputs()[:, 1].mean()) == pytest.approx(0.25)
    published = RsnaPneumonia(root=root, protocol="published")
    assert published.outputs()[:, 1].tolist() == [1.0] * 5


def test_a_suite_can_name_it(root):
    dataset = DATASETS.create("rsna_pneumonia", root=str(root), split="all", image_size=32, channels=3)
    assert len(dataset) == 8
