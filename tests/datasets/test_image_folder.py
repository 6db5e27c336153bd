"""A user's own folder: what is read, and what is refused with which words."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xaibench.datasets import DATASETS, Dataset, ImageFolder, InputError, MaskKind, Task

NAMES = ("one", "two", "three", "four")


def region_of(place: int) -> np.ndarray:
    region = np.zeros((24, 32), dtype=np.uint8)
    region[place : place + 8, 5:20] = 1
    return region


def write_table(root: Path, text: str) -> None:
    (root / "labels.csv").write_text(text)


@pytest.fixture
def root(tmp_path) -> Path:
    """Four images of 32x24 pixels with labels cat and dog, and a mask for each."""
    root = tmp_path / "pets"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for place, name in enumerate(NAMES):
        Image.new("RGB", (32, 24), (place * 50, 0, 255)).save(root / "images" / f"{name}.png")
        Image.fromarray(region_of(place)).save(root / "masks" / f"{name}.png")
    write_table(root, "name,label\none,dog\ntwo,cat\nthree,cat\nfour,dog\n")
    return root


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


def remove(path: str):
    def damage(root: Path) -> None:
        target = root / path if path else root
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return damage


def table(text: str):
    return lambda root: write_table(root, text)


def content(path: str, data: bytes):
    return lambda root: (root / path).write_bytes(data)


def copy(source: str, target: str):
    return lambda root: shutil.copy(root / source, root / target)


def empty_images(root: Path) -> None:
    for path in (root / "images").iterdir():
        path.unlink()


def wrong_mask_size(root: Path) -> None:
    Image.new("1", (32, 25)).save(root / "masks" / "two.png")


def rest(label: str = "dog") -> str:
    return f"two,cat\nthree,cat\nfour,{label}\n"


MULTI = {"task": "multilabel"}
NUMBERS = {"task": "regression"}

BAD = [
    (remove(""), {}, ["pets: no such folder", "images/ and labels.csv"]),
    (remove("images"), {}, ["images: no such folder"]),
    (empty_images, {}, ["images: no image in it", ".png"]),
    (remove("labels.csv"), {}, ["labels.csv: no such file", "name"]),
    (table(""), {}, ["labels.csv: 0 lines", "name", "at least one row"]),
    (table("name,label\n"), {}, ["labels.csv: 1 lines", "at least one row"]),
    (table("file,label\none,dog\n" + rest()), {}, ["no column 'name'", "found columns file, label"]),
    (table("name;label\none;dog\n"), {}, ["no column 'name'", "name;label", "comma-separated"]),
    (table("name,class\none,dog\n" + rest()), {}, ["no column 'label'", "found columns name, class"]),
    (table("name,label,label\none,dog,dog\n"), {}, ["column 'label' stands twice"]),
    (table("name,label\none,dog,x\n" + rest()), {}, ["line 2 has 3 values", "wanted 2"]),
    (content("labels.csv", b"name,label\n\xff\xfe,dog\n"), {}, ["labels.csv: cannot be read", "UTF-8"]),
    (table("name,label\none,dog\n" + rest() + "fore,cat\n"), {}, ["line 6", "no image 'fore'", "did you mean 'four'"]),
    (table("name,label\n" + rest()), {}, ["no row for one.png", "1 of 4"]),
    (table("name,label\none,dog\n" + rest() + "one.png,cat\n"), {}, ["one.png", "line 2", "line 6"]),
    (table("name,label\none,\n" + rest()), {}, ["line 2", "label is empty"]),
    (
        table("name,label\none,dgo\n" + rest()),
        {"output_names": ("cat", "dog")},
        ["labels.csv: line 2", "'dgo'", "did you mean 'dog'", "label_map"],
    ),
    (table("name,labels\none,dog;dgo\n" + rest()), {**MULTI, "output_names": ("cat", "dog")}, ["line 2", "'dgo'"]),
    (table("name,cat\none,2\ntwo,0\nthree,1\nfour,1\n"), MULTI, ["line 2", "cat is '2'", "0 or 1"]),
    (table("name\none\ntwo\nthree\nfour\n"), MULTI, ["found columns name", "labels", "one column of 0 and 1"]),
    (table("name\none\ntwo\nthree\nfour\n"), NUMBERS, ["found columns name", "one column per output"]),
    (table("name,age\none,old\ntwo,1\nthree,1\nfour,1\n"), NUMBERS, ["line 2", "age is 'old'", "finite number"]),
    (table("name,age\none,1\ntwo,nan\nthree,1\nfour,1\n"), NUMBERS, ["line 3", "age is 'nan'", "finite number"]),
    (table("name,age\none,1\ntwo,\nthree,1\nfour,1\n"), NUMBERS, ["line 3", "age is ''"]),
    (None, {**NUMBERS, "output_names": ("age",)}, ["no column 'age'", "name, label"]),
    (content("images/two.png", b"hello"), {}, ["images/two.png", "5 bytes is no image"]),
    (content("images/two.png", b""), {}, ["images/two.png", "empty"]),
    (copy("images/one.png", "images/one.jpg"), {}, ["one.jpg and one.png", "one image per name"]),
    (wrong_mask_size, {}, ["masks/two.png: mask is 32x25", "images/two.png is 32x24", "same size"]),
    (content("masks/two.png", b"hello"), {}, ["masks/two.png", "no image"]),
    (copy("masks/one.png", "masks/five.png"), {}, ["masks/five.png: a mask without an image"]),
    (copy("masks/one.png", "masks/one__dgo.png"), {}, ["one__dgo.png", "'dgo'", "did you mean 'dog'"]),
    (copy("masks/one.png", "masks/one__dog.png"), {}, ["one.png and one__dog.png", "one per output"]),
    (copy("images/one.png", "masks/one.jpg"), {}, ["one.jpg: a mask in .jpg", "wanted .png"]),
    (table("name,label,split\none,dog,tset\ntwo,cat,val\nthree,cat,val\nfour,dog,val\n"), {"split": "val"}, ["'tset'"]),
    (table("name,label,split\none,dog,val\ntwo,cat,val\nthree,cat,val\nfour,dog,val\n"), {"split": "test"}, ["empty"]),
    (None, {"split": "valid"}, ["'valid'", "train, val, test or all"]),
    (None, {"group_column": "patient"}, ["no column 'patient'", "name, label"]),
    (None, {"image_size": 4}, ["image_size is 4", "16"]),
    (None, {"channels": 4}, ["channels is 4", "1 (grey) or 3"]),
    (None, {"task": "segmentation"}, ["'segmentation'", "multiclass, multilabel, regression"]),
    (None, {"mask_applies_to": "all"}, ["'all'", "label or every_output"]),
    (None, {"output_names": ("cat", "cat")}, ["output_names", "none twice"]),
    (None, {"output_names": ("cat", "dog"), "label_map": {"dog": "hound"}}, ["'dog' to 'hound'", "cat, dog"]),
]


@pytest.mark.parametrize(("damage", "settings", "words"), BAD, ids=[" ".join(words) for _, _, words in BAD])
def test_bad_input_says_what_and_where(root, damage, settings, words):
    if damage is not None:
        damage(root)
    with pytest.raises(InputError) as caught:
        ImageFolder(root=root, **settings)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_image_is_named_when_it_is_loaded(root):
    noise = Image.effect_noise((32, 24), 90.0)
    noise.save(root / "images" / "two.png")
    whole = (root / "images" / "two.png").read_bytes()
    (root / "images" / "two.png").write_bytes(whole[: len(whole) // 2])
    dataset = ImageFolder(root=root)
    assert dataset[0].sample_id == "one"
    with pytest.raises(InputError, match=r"images/two\.png.*damaged"):
        dataset[1]
