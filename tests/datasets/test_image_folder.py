"""A user's own folder: what is read, and what is refused with which words."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xaibench.datasets import DATASETS, Dataset, ImageFolder, MaskKind, Task

NAMES = ("one", "two", "three", "four")


def region_of(place: int) -> np.ndarray:
    region = np.zeros((24, 32), dtype=np.uint8)
    region[place : place + 8, 5:20] = 1
    return region


def write_table(root: Path, text: str) -> None:
    (root / "labels.csv").write_text(text)


@pytest.fixture
def root(pets) -> Path:
    return pets


def test_a_multiclass_folder(root):
    dataset = ImageFolder(root=root)
    assert dataset.info.output_names == ("cat", "dog")
    assert dataset.info.mask_kind is MaskKind.PIXEL
    assert dataset.info.image_size == (24, 32)
    assert [sample.sample_id for sample in dataset] == list(NAMES)
    for place, sample in enumerate(dataset):
        assert sample.image.shape == (3, 24, 32)
        assert sample.image[:, 0, 0].tolist() == pytest.approx([place * 50 / 255, 0.0, 1.0])
        assert sample.outputs.tolist() == ([0.0, 1.0] if place in (0, 3) else [1.0, 0.0])
        for mask in sample.gt_masks:
            assert np.array_equal(mask.numpy(), region_of(place) > 0)
    assert torch.equal(dataset.outputs(), torch.stack([sample.outputs for sample in dataset]))
    with pytest.raises(IndexError):
        dataset[4]


def test_rows_may_name_files_with_their_ending_in_any_order(root):
    write_table(root, "\ufeffname, label\n\nfour.png,dog\nthree, cat\n one.png,dog\ntwo,cat\n")
    dataset = ImageFolder(root=root)
    assert [sample.sample_id for sample in dataset] == ["four", "three", "one", "two"]
    assert dataset.outputs()[:, 1].tolist() == [1.0, 0.0, 1.0, 0.0]


def test_labels_are_mapped_to_the_outputs_of_a_classifier(root):
    dataset = ImageFolder(root=root, output_names=("bird", "canine", "cat"), label_map={"dog": "canine"})
    assert dataset.info.output_names == ("bird", "canine", "cat")
    assert dataset.outputs().argmax(dim=1).tolist() == [1, 2, 2, 1]
    assert dataset[0].gt_masks.shape == (3, 24, 32)


def test_a_mask_can_belong_to_the_label_only(root):
    masks = ImageFolder(root=root, mask_applies_to="label")[0].gt_masks
    assert masks.any(dim=(1, 2)).tolist() == [False, True]
    assert np.array_equal(masks[1].numpy(), region_of(0) > 0)


@pytest.mark.parametrize(
    "table",
    [
        "name,labels\none,dog;cat\ntwo,\nthree,cat\nfour, cat ; dog \n",
        "name,cat,dog\none,1,1\ntwo,0,0\nthree,1,0\nfour,1,1\n",
    ],
)
def test_multilabel_by_names_or_by_columns(root, table):
    write_table(root, table)
    dataset = ImageFolder(root=root, task="multilabel", mask_applies_to="label")
    assert dataset.info.task is Task.MULTILABEL
    assert dataset.info.output_names == ("cat", "dog")
    assert dataset.outputs().tolist() == [[1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
    assert dataset[0].gt_masks.any(dim=(1, 2)).tolist() == [True, True]
    assert not bool(dataset[1].gt_masks.any())


def test_one_mask_per_output(root):
    write_table(root, "name,labels\none,dog;cat\ntwo,cat\nthree,cat\nfour,dog\n")
    (root / "masks" / "one.png").rename(root / "masks" / "one__cat.png")
    Image.fromarray(region_of(12)).save(root / "masks" / "one__dog.png")
    dataset = ImageFolder(root=root, task="multilabel")
    cat, dog = dataset[0].gt_masks
    assert np.array_equal(cat.numpy(), region_of(0) > 0)
    assert np.array_equal(dog.numpy(), region_of(12) > 0)
    (root / "masks" / "one__dog.png").unlink()
    assert not bool(ImageFolder(root=root, task="multilabel")[0].gt_masks[1].any())


def test_an_image_may_have_the_separator_in_its_name(root):
    for folder in ("images", "masks"):
        (root / folder / "one.png").rename(root / folder / "one__cat.png")
    write_table(root, "name,label\none__cat,dog\ntwo,cat\nthree,cat\nfour,dog\n")
    (root / "masks" / "one__cat.png").rename(root / "masks" / "one__cat__dog.png")
    assert ImageFolder(root=root)[0].gt_masks.any(dim=(1, 2)).tolist() == [False, True]


def test_regression_reads_one_number_per_output(root):
    write_table(root, "name,age,patient,weight\none,1.5,a,-3\ntwo,2,a,1e3\nthree,0,b,0\nfour,4,c,7\n")
    dataset = ImageFolder(root=root, task="regression", group_column="patient", mask_applies_to="label")
    assert dataset.info.output_names == ("age", "weight")
    assert dataset.outputs().tolist() == [[1.5, -3.0], [2.0, 1000.0], [0.0, 0.0], [4.0, 7.0]]
    assert dataset[2].gt_masks.any(dim=(1, 2)).tolist() == [True, True]
    chosen = ImageFolder(root=root, task="regression", output_names=("weight",))
    assert chosen.outputs().tolist() == [[-3.0], [1000.0], [0.0], [7.0]]


def test_masks_may_be_absent_for_some_or_all_images(root):
    (root / "masks" / "two.png").unlink()
    dataset = ImageFolder(root=root)
    assert [sample.gt_masks is None for sample in dataset] == [False, True, False, False]
    assert dataset.info.notes == ("1 of 4 images have no mask",)
    shutil.rmtree(root / "masks")
    without = ImageFolder(root=root)
    assert all(sample.gt_masks is None for sample in without)
    assert without.info.mask_kind is MaskKind.NONE
    assert without.info.notes == ()


def test_images_of_different_sizes(root):
    Image.new("RGB", (40, 40)).save(root / "images" / "two.png")
    (root / "masks" / "two.png").unlink()
    own = ImageFolder(root=root)
    assert own.info.image_size is None
    assert own[1].image.shape == (3, 40, 40)
    resized = ImageFolder(root=root, image_size=28, channels=1)
    assert resized.info.image_size == (28, 28)
    assert resized.info.channels == 1
    assert {tuple(sample.image.shape) for sample in resized} == {(1, 28, 28)}
    assert resized[0].gt_masks.shape == (2, 28, 28)


def test_files_of_operating_systems_are_ignored(root):
    for folder in ("images", "masks"):
        (root / folder / ".DS_Store").write_bytes(b"x")
        (root / folder / "._one.png").write_bytes(b"x")
        (root / folder / "Thumbs.db").write_bytes(b"x")
    assert len(ImageFolder(root=root)) == 4


def many(root: Path, header: str, row) -> None:
    shutil.rmtree(root / "masks")
    for path in (root / "images").iterdir():
        path.unlink()
    lines = [header]
    for index in range(60):
        Image.new("L", (16, 16), index).save(root / "images" / f"{index:02d}.png")
        lines.append(row(index))
    write_table(root, "\n".join(lines) + "\n")


def names_of(dataset: Dataset) -> set[str]:
    return {sample.sample_id for sample in dataset}


def test_a_column_decides_the_split(root):
    many(root, "name,label,split", lambda index: f"{index:02d},a,{('train', 'val', 'test')[index % 3]}")
    assert len(ImageFolder(root=root)) == 60
    assert names_of(ImageFolder(root=root, split="val")) == {f"{index:02d}" for index in range(1, 60, 3)}


def test_without_the_column_the_split_is_stratified_grouped_and_seeded(root):
    many(root, "name,label,patient", lambda index: f"{index:02d},{'ab'[index % 2]},{index // 4}")
    splits = {split: ImageFolder(root=root, split=split) for split in ("train", "val", "test")}
    assert {split: len(data) for split, data in splits.items()} == {"train": 42, "val": 6, "test": 12}
    for data in splits.values():
        assert float(data.outputs().mean(dim=0)[0]) == 0.5
    assert names_of(splits["test"]) == names_of(ImageFolder(root=root, split="test"))
    assert names_of(splits["test"]) != names_of(ImageFolder(root=root, split="test", seed=1))
    grouped = [ImageFolder(root=root, split=split, group_column="patient") for split in ("train", "val", "test")]
    patients = [{int(name) // 4 for name in names_of(data)} for data in grouped]
    assert sum(len(found) for found in patients) == len(set.union(*patients)) == 15


def test_the_fingerprint_follows_content_and_settings(root):
    def fingerprint(**settings):
        return ImageFolder(root=root, **settings).info.fingerprint

    seen = [
        fingerprint(),
        fingerprint(image_size=16),
        fingerprint(channels=1),
        fingerprint(mask_applies_to="label"),
        fingerprint(output_names=("dog", "cat")),
    ]
    assert fingerprint() == seen[0]
    moved = root.parent / "moved"
    shutil.copytree(root, moved)
    assert ImageFolder(root=moved).info.fingerprint == seen[0]
    Image.new("RGB", (32, 24), (1, 2, 3)).save(root / "images" / "one.png")
    seen.append(fingerprint())
    Image.fromarray(region_of(9)).save(root / "masks" / "one.png")
    seen.append(fingerprint())
    (root / "masks" / "two.png").unlink()
    seen.append(fingerprint())
    write_table(root, "name,label\none,cat\ntwo,cat\nthree,cat\nfour,dog\n")
    seen.append(fingerprint())
    assert len(set(seen)) == len(seen)


def test_a_suite_can_name_it(root):
    dataset = DATASETS.create(
        "image_folder",
        root=str(root),
        output_names=["cat", "hound"],
        label_map={"dog": "hound"},
        image_size=16,
        license="CC0",
    )
    assert dataset.info.output_names == ("cat", "hound")
    assert dataset.info.license == "CC0"
