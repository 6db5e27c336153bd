"""The official layout of HAM10000, as a tiny copy of it."""

import collections
import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xaibench.datasets import DATASETS, HAM10000, InputError, MaskKind
from xaibench.datasets.ham10000 import DIAGNOSES
from xaibench.datasets.published_splits import published_split

SIZE = (24, 18)
LESIONS_PER_DIAGNOSIS = 20


def region_of(number: int) -> np.ndarray:
    region = np.zeros((SIZE[1], SIZE[0]), dtype=np.uint8)
    region[4 + number % 5 : 12, 6 : 14 + number % 7] = 255
    return region


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Seven diagnoses, 20 lesions each, every third lesion with two photos; the even photos in part 2."""
    root = tmp_path_factory.mktemp("whole") / "ham"
    for folder in ("HAM10000_images_part_1", "HAM10000_images_part_2", "HAM10000_segmentations_lesion_tschandl"):
        (root / folder).mkdir(parents=True)
    rows = []
    for place, diagnosis in enumerate(DIAGNOSES):
        for lesion in range(LESIONS_PER_DIAGNOSIS):
            for _ in range(1 + (lesion % 3 == 0)):
                number = len(rows)
                image_id = f"ISIC_{number:07d}"
                rows.append((f"HAM_{place}_{lesion}", image_id, diagnosis, "histo", "50.0", "male", "back"))
                part = "HAM10000_images_part_2" if number % 2 == 0 else "HAM10000_images_part_1"
                Image.new("RGB", SIZE, (number, 90, 120)).save(root / part / f"{image_id}.jpg")
                mask = Image.fromarray(region_of(number))
                mask.save(root / "HAM10000_segmentations_lesion_tschandl" / f"{image_id}_segmentation.png")
    with (root / "HAM10000_metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"), *rows])
    return root


@pytest.fixture
def root(whole, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(whole, tmp_path / "ham"))


def metadata(root: Path) -> list[dict[str, str]]:
    with (root / "HAM10000_metadata.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def rewrite(root: Path, change) -> None:
    path = root / "HAM10000_metadata.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(change(lines)) + "\n")


def test_samples_are_photo_diagnosis_and_lesion(whole):
    dataset = HAM10000(root=whole, split="all", image_size=36)
    rows = metadata(whole)
    assert len(dataset) == len(rows) == 189
    for index in (0, 7, 150):
        sample = dataset[index]
        assert sample.sample_id == rows[index]["image_id"]
        assert sample.image.shape == (3, 36, 36)
        assert float(sample.image[0].mean() * 255) == pytest.approx(index, abs=3)
        assert sample.outputs.argmax() == DIAGNOSES.index(rows[index]["dx"])
        assert sample.outputs.sum() == 1.0
        wanted = Image.fromarray(region_of(index)).resize((36, 36), Image.Resampling.NEAREST)
        for mask in sample.gt_masks:
            assert np.array_equal(mask.numpy(), np.asarray(wanted) > 0)
        # One mask seen seven times, not seven masks.
        assert sample.gt_masks.stride(0) == 0
    assert torch.equal(dataset.outputs(), torch.stack([sample.outputs for sample in dataset]))
    assert dataset.info.output_names == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    assert dataset.info.mask_kind is MaskKind.PIXEL
    assert dataset.info.license == "CC BY-NC 4.0"
    assert dataset.info.notes == ()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_lesion_crosses_splits_and_diagnoses_are_spread_evenly(whole, seed):
    lesion_of = {row["image_id"]: row["lesion_id"] for row in metadata(whole)}
    splits = {split: HAM10000(root=whole, split=split, seed=seed) for split in ("train", "val", "test")}
    lesions = {split: {lesion_of[sample.sample_id] for sample in data} for split, data in splits.items()}
    assert sum(len(found) for found in lesions.values()) == 7 * LESIONS_PER_DIAGNOSIS
    assert len(set.union(*lesions.values())) == 7 * LESIONS_PER_DIAGNOSIS
    assert sum(len(data) for data in splits.values()) == 189
    for split, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        assert np.allclose(splits[split].outputs().sum(dim=0).numpy(), 27 * share, atol=2.0)


def test_the_split_follows_the_seed_and_nothing_else(whole, root):
    names = [sample.sample_id for sample in HAM10000(root=whole, split="test")]
    assert names == [sample.sample_id for sample in HAM10000(root=whole, split="test")]
    assert names != [sample.sample_id for sample in HAM10000(root=whole, split="test", seed=1)]
    # An absent image moves no other one.
    gone = next(root.glob(f"*/{names[3]}.jpg"))
    gone.unlink()
    assert [sample.sample_id for sample in HAM10000(root=root, split="test")] == names[:3] + names[4:]
    rewrite(root, lambda lines: [lines[0], *reversed(lines[1:])])
    assert {sample.sample_id for sample in HAM10000(root=root, split="test")} == set(names) - {names[3]}


def test_absent_images_are_left_out_and_counted(root):
    shutil.rmtree(root / "HAM10000_images_part_2")
    dataset = HAM10000(root=root, split="all")
    assert len(dataset) == 94
    assert dataset.info.notes == ("95 of 189 listed images are absent and left out",)
    assert len(list(dataset)) == 94


def test_a_missing_mask_is_counted_and_has_no_region(root):
    for number in (3, 4):
        (root / "HAM10000_segmentations_lesion_tschandl" / f"ISIC_{number:07d}_segmentation.png").unlink()
    dataset = HAM10000(root=root, split="all")
    assert [index for index, sample in enumerate(dataset) if sample.gt_masks is None] == [3, 4]
    assert dataset.info.notes == ("2 of 189 images have no mask",)
    assert dataset.info.mask_kind is MaskKind.PIXEL


def test_masks_can_be_absent_ignored_or_demanded(root):
    assert HAM10000(root=root, masks=True)[0].gt_masks is not None
    assert HAM10000(root=root, masks=False)[0].gt_masks is None
    shutil.rmtree(root / "HAM10000_segmentations_lesion_tschandl")
    without = HAM10000(root=root)
    assert without[0].gt_masks is None
    assert without.info.mask_kind is MaskKind.NONE
    with pytest.raises(InputError, match="tschandl: no such folder"):
        HAM10000(root=root, masks=True)


def test_the_metadata_may_lack_its_ending(root):
    before = HAM10000(root=root).info.fingerprint
    (root / "HAM10000_metadata.csv").rename(root / "HAM10000_metadata")
    assert HAM10000(root=root).info.fingerprint == before


def test_the_fingerprint_follows_content_and_settings(root):
    def fingerprint(**settings):
        return HAM10000(root=root, **{"split": "all", **settings}).info.fingerprint

    before = fingerprint()
    assert fingerprint() == before
    assert len({before, fingerprint(split="val"), fingerprint(image_size=32), fingerprint(masks=False)}) == 4
    (root / "HAM10000_images_part_2" / "ISIC_0000000.jpg").write_bytes(
        (root / "HAM10000_images_part_2" / "ISIC_0000002.jpg").read_bytes()
    )
    assert fingerprint() != before


def remove_metadata(root):
    (root / "HAM10000_metadata.csv").unlink()


def remove_images(root):
    for part in (1, 2):
        shutil.rmtree(root / f"HAM10000_images_part_{part}")


def copy_image_to_part_1(root):
    shutil.copy(root / "HAM10000_images_part_2" / "ISIC_0000000.jpg", root / "HAM10000_images_part_1")


BAD = [
    (shutil.rmtree, {}, ["ham: no such folder", "doi.org"]),
    (remove_metadata, {}, ["HAM10000_metadata.csv", "official layout"]),
    (remove_images, {}, ["none of the", "is there", "HAM10000_images_part_1/ISIC_"]),
    (lambda root: rewrite(root, lambda lines: lines[:1]), {}, ["HAM10000_metadata.csv", "at least one row"]),
    (lambda root: rewrite(root, lambda lines: [*lines, lines[5]]), {}, ["ISIC_0000004", "line 6", "line 191"]),
    (
        lambda root: rewrite(root, lambda lines: [lines[0].replace("dx,", "diagnosis,"), *lines[1:]]),
        {},
        ["no column 'dx'", "diagnosis", "lesion_id, image_id, dx"],
    ),
    (
        lambda root: rewrite(root, lambda lines: [*lines[:9], lines[9].replace("akiec", "akeic"), *lines[10:]]),
        {},
        ["line 10", "'akeic'", "did you mean 'akiec'"],
    ),
    (lambda root: rewrite(root, lambda lines: [*lines, "a,b"]), {}, ["line 191", "2 values", "7"]),
    (lambda root: None, {"split": "tests"}, ["'tests'", "train, val, test or all"]),
    (lambda root: None, {"image_size": 8}, ["image_size is 8", "16"]),
    (lambda root: None, {"task": "melanom"}, ["'melanom'", "did you mean 'melanoma'"]),
    (lambda root: None, {"protocol": "paper"}, ["'paper'", "clean or published"]),
    (copy_image_to_part_1, {}, ["part_1/ISIC_0000000.jpg", "part_2/ISIC_0000000.jpg", "one image per name"]),
]


@pytest.mark.parametrize(("damage", "settings", "words"), BAD)
def test_bad_input_says_what_and_where(root, damage, settings, words):
    damage(root)
    with pytest.raises(InputError) as caught:
        HAM10000(root=root, **settings)
    for word in words:
        assert word in str(caught.value)


def test_melanoma_against_the_rest(whole):
    seven, two = (HAM10000(root=whole, split="all", task=task) for task in ("diagnosis", "melanoma"))
    assert two.info.output_names == ("other", "melanoma")
    assert torch.equal(two.outputs()[:, 1], seven.outputs()[:, DIAGNOSES.index("mel")])
    assert torch.equal(two.outputs().sum(dim=1), torch.ones(189))
    # The lesion is the evidence for either answer.
    assert torch.equal(two[0].gt_masks[0], two[0].gt_masks[1])
    assert two.info.fingerprint != seven.info.fingerprint


def test_the_published_split_is_image_by_image(whole):
    lesion_of = {row["image_id"]: row["lesion_id"] for row in metadata(whole)}
    splits = {s: HAM10000(root=whole, split=s, protocol="published") for s in ("train", "val", "test")}
    names = {split: [photo.image_id for photo in data._photos] for split, data in splits.items()}
    # Fewer than 1,000 are held out here: half of them are explained.
    assert {split: len(own) for split, own in names.items()} == {"train": 151, "val": 19, "test": 19}
    lesions = [{lesion_of[name] for name in own} for own in names.values()]
    assert lesions[0] & lesions[2]
    assert names["test"] == [photo.image_id for photo in HAM10000(root=whole, protocol="published", seed=5)._photos]


def test_the_published_split_has_the_counts_of_the_paper():
    splits = published_split(["nv"] * 10015, evaluated=None, stratified=False)
    assert collections.Counter(splits) == {"train": 8012, "test": 1000, "val": 1003}
    # NumPy's legacy generator, frozen since 1.16: the image that its permutation puts first is held out.
    permutation = np.random.RandomState(42).permutation(10015)
    assert {place for place, split in enumerate(splits) if split == "test"} == set(permutation[:1000].tolist())


def test_a_split_without_rows_is_refused(root):
    rewrite(root, lambda lines: lines[:2])
    with pytest.raises(InputError, match="1 rows leave this split empty"):
        HAM10000(root=root, split="val")


def test_damaged_files_are_named_when_they_are_loaded(root):
    (root / "HAM10000_images_part_2" / "ISIC_0000000.jpg").write_bytes(b"no image")
    Image.new("L", (SIZE[0], SIZE[1] + 1)).save(
        root / "HAM10000_segmentations_lesion_tschandl" / "ISIC_0000001_segmentation.png"
    )
    dataset = HAM10000(root=root, split="all")
    with pytest.raises(InputError, match=r"ISIC_0000000\.jpg.*no image"):
        dataset[0]
    with pytest.raises(InputError, match=r"ISIC_0000001_segmentation\.png: mask is 24x19.*ISIC_0000001\.jpg is 24x18"):
        dataset[1]
    with pytest.raises(IndexError):
        dataset[189]


def test_a_suite_can_name_it(whole):
    dataset = DATASETS.create("ham10000", root=str(whole), split="val")
    assert len(dataset) == collections.Counter(sample.sample_id for sample in dataset).total()
