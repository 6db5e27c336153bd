"""A user's own folder with mistakes: what is refused, with which words."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from xaibench.datasets import ImageFolder, InputError


def write_table(root: Path, text: str) -> None:
    (root / "labels.csv").write_text(text)


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
def test_bad_input_says_what_and_where(pets, damage, settings, words):
    if damage is not None:
        damage(pets)
    with pytest.raises(InputError) as caught:
        ImageFolder(root=pets, **settings)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_image_is_named_when_it_is_loaded(pets):
    noise = Image.effect_noise((32, 24), 90.0)
    noise.save(pets / "images" / "two.png")
    whole = (pets / "images" / "two.png").read_bytes()
    (pets / "images" / "two.png").write_bytes(whole[: len(whole) // 2])
    dataset = ImageFolder(root=pets)
    assert dataset[0].sample_id == "one"
    with pytest.raises(InputError, match=r"images/two\.png.*damaged"):
        dataset[1]
