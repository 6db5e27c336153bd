"""The images of synthetic_radiographs, checked against what was drawn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xaibench.datasets import DATASETS, InputError, MaskKind, SyntheticRadiographs, Task
from xaibench.datasets.radiographs import dataset as module
from xaibench.datasets.radiographs.findings import FINDINGS

TASKS = {"pathology": Task.MULTICLASS, "findings": Task.MULTILABEL, "severity": Task.REGRESSION}
SMALL = {"image_size": 32}


@pytest.mark.parametrize("task", TASKS)
def test_samples_have_the_promised_form(task):
    dataset = SyntheticRadiographs(task=task, n_images=24, image_size=48)
    assert dataset.info.task is TASKS[task]
    assert dataset.info.mask_kind is MaskKind.PIXEL
    assert dataset.info.channels == 1
    for sample in dataset:
        assert sample.image.shape == (1, 48, 48)
        assert sample.image.dtype == torch.float32
        assert 0.0 <= float(sample.image.min()) < float(sample.image.max()) <= 1.0
        # Neither white nor black but for the air beside the body.
        assert 0.25 < float(sample.image.mean()) < 0.75
        assert sample.gt_masks.shape == (len(dataset.info.output_names), 48, 48)
        annotated = sample.gt_masks.flatten(1).any(dim=1)
        if task == "findings":
            assert torch.equal(annotated, sample.outputs > 0.5)
        elif task == "pathology":
            assert sample.outputs.sum() == 1.0
            assert torch.equal(annotated[1:], sample.outputs[1:] > 0.5)
            assert not annotated[0]
    assert torch.equal(dataset.outputs(), torch.stack([sample.outputs for sample in dataset]))


@pytest.mark.parametrize("task", TASKS)
def test_a_sample_depends_on_nothing_but_seed_split_index_and_settings(task):
    few, many = (SyntheticRadiographs(task=task, n_images=n, seed=3, **SMALL) for n in (5, 5000))
    state = torch.get_rng_state()
    backwards = {index: few[index] for index in reversed(range(5))}
    assert torch.equal(torch.get_rng_state(), state)
    for index in range(5):
        assert torch.equal(many[index].image, backwards[index].image)
        assert torch.equal(many[index].gt_masks, backwards[index].gt_masks)
        assert many[index].sample_id == backwards[index].sample_id


def test_splits_and_seeds_share_no_image():
    images, names = set(), set()
    for split in ("train", "val", "test"):
        for seed in (0, 1, 2**40):
            for sample in SyntheticRadiographs(split=split, n_images=8, seed=seed, image_size=16):
                images.add(sample.image.numpy().tobytes())
                names.add(sample.sample_id)
    assert len(images) == len(names) == 3 * 3 * 8


def test_classes_are_balanced():
    assert SyntheticRadiographs(n_images=600).outputs().sum(dim=0).tolist() == [100.0] * 6
    without = SyntheticRadiographs(n_images=500, normals=False)
    assert without.info.output_names == FINDINGS
    assert without.outputs().sum(dim=0).tolist() == [100.0] * 5


def test_findings_are_about_equally_frequent_and_none_to_three():
    dataset = SyntheticRadiographs(task="findings", n_images=1000)
    outputs = dataset.outputs()
    assert outputs.mean(dim=0).tolist() == pytest.approx([0.3] * 5, abs=0.05)
    assert np.bincount(outputs.sum(dim=1).int()).tolist() == pytest.approx([250] * 4, abs=45)
    assert SyntheticRadiographs(task="findings", n_images=100, normals=False).outputs().sum(dim=1).min() == 1.0


def test_severity_is_the_affected_share_of_the_lungs():
    dataset = SyntheticRadiographs(task="severity", n_images=80)
    values = []
    for index, sample in enumerate(dataset):
        field = torch.from_numpy(dataset.radiograph(index).chest(128).field)
        assert float(sample.outputs) == pytest.approx(float((sample.gt_masks[0] & field).sum() / field.sum()))
        assert not bool((sample.gt_masks[0] & ~field).any())
        values.append(float(sample.outputs))
    assert 0.0 < min(values) < 0.08
    assert 0.35 < max(values) < 0.8
    assert np.std(values) > 0.08
    with_normals = SyntheticRadiographs(task="severity", n_images=40, normals=True, **SMALL).outputs()
    assert 0 < int((with_normals == 0).sum()) < 20


@pytest.mark.parametrize("task", TASKS)
def test_the_token_goes_with_the_label_as_often_as_asked(task):
    for strength, wanted in ((0.0, 0.5), (0.6, 0.8), (1.0, 1.0)):
        dataset = SyntheticRadiographs(
            task=task,
            n_images=200,
            image_size=32,
            shortcut=strength,
            regions="shortcut",
            shortcut_to=None if task == "severity" else "nodule",
        )
        agree = []
        for sample, outputs in zip(dataset, dataset.outputs(), strict=True):
            positive = (
                outputs[0] > 0.2 if task == "severity" else outputs[dataset.info.output_names.index("nodule")] > 0
            )
            agree.append(bool(positive) == bool(sample.gt_masks.any()))
        assert np.mean(agree) == pytest.approx(wanted, abs=0.07)
        assert dataset.info.notes


def test_the_shortcut_changes_nothing_but_the_token():
    plain, marked = (SyntheticRadiographs(n_images=12, image_size=64, shortcut=s) for s in (None, 0.0))
    tokens = SyntheticRadiographs(n_images=12, image_size=64, shortcut=0.0, regions="shortcut")
    for index in range(12):
        changed = (plain[index].image != marked[index].image).any(dim=0)
        token = tokens[index].gt_masks
        assert torch.equal(marked[index].image, tokens[index].image)
        assert torch.equal(plain[index].gt_masks, marked[index].gt_masks)
        assert all(torch.equal(mask, token[0]) for mask in token)
        assert not bool((changed & ~token[0]).any())
        assert bool(changed.any()) == bool(token.any())


def test_the_surroundings_do_not_tell_the_label():
    # The rim of the image, where no finding lies: a classifier that reads it is at chance.
    dataset = SyntheticRadiographs(n_images=360, image_size=32, normals=False)
    rims, labels = [], []
    for sample in dataset:
        image = sample.image[0].numpy().copy()
        rims.append(np.concatenate([image[:2].ravel(), image[-2:].ravel()]))
        labels.append(int(sample.outputs.argmax()))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
    # Chance is 0.2 with a standard error of 0.02.
    assert cross_val_score(model, np.array(rims), labels, cv=4).mean() < 0.28


def test_fingerprint_holds_everything_that_decides_the_images(monkeypatch):
    def fingerprint(**settings):
        return SyntheticRadiographs(**settings).info.fingerprint

    changes = [
        {},
        {"task": "findings"},
        {"task": "severity"},
        {"split": "train"},
        {"n_images": 501},
        {"image_size": 65},
        {"finding_types": ("nodule", "effusion")},
        {"finding_types": ("effusion", "nodule")},
        {"normals": False},
        {"shortcut": 0.0},
        {"shortcut": 1.0},
        {"shortcut": 1.0, "shortcut_to": "nodule"},
        {"shortcut": 1.0, "regions": "shortcut"},
        {"seed": 1},
    ]
    fingerprints = [fingerprint(**change) for change in changes]
    assert len(set(fingerprints)) == len(changes)
    assert fingerprint(normals=True) == fingerprints[0]
    monkeypatch.setattr(module, "GENERATOR_VERSION", "next")
    assert fingerprint() not in fingerprints


BAD = [
    ({"n_images": 0}, ["n_images is 0", "at least 1"]),
    ({"image_size": 15}, ["image_size is 15", "16"]),
    ({"seed": -1}, ["seed is -1"]),
    ({"split": "all"}, ["'all'", "train"]),
    ({"task": "finding"}, ["'finding'", "did you mean 'findings'"]),
    ({"finding_types": ("nodule", "edema")}, ["unknown finding 'edema'", "effusion"]),
    ({"finding_types": ("nodule", "nodule")}, ["none twice"]),
    ({"finding_types": ()}, ["at least one finding"]),
    ({"finding_types": ("nodule",), "normals": False}, ["['nodule']", "two at least"]),
    ({"task": "severity", "finding_types": ("nodule",)}, ["severity", "leave finding_types away"]),
    ({"shortcut": 1.5}, ["shortcut is 1.5", "0 (chance) to 1"]),
    ({"shortcut_to": "nodule"}, ["shortcut is not set"]),
    ({"shortcut": 0.5, "shortcut_to": "nodul"}, ["'nodul'", "did you mean 'nodule'"]),
    ({"shortcut": 0.5, "task": "severity", "shortcut_to": "nodule"}, ["severe images"]),
    ({"regions": "shortcut"}, ["'shortcut' but there is none"]),
    ({"regions": "boxes"}, ["'boxes'", "findings or shortcut"]),
]


@pytest.mark.parametrize(("setting", "words"), BAD, ids=[words[0] for _, words in BAD])
def test_bad_settings_are_refused(setting, words):
    with pytest.raises(InputError) as caught:
        SyntheticRadiographs(**setting)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("index", [-1, 5])
def test_an_index_out_of_range_is_an_index_error(index):
    with pytest.raises(IndexError):
        SyntheticRadiographs(n_images=5)[index]


def test_a_suite_can_name_it():
    dataset = DATASETS.create(
        "synthetic_radiographs", task="findings", finding_types=["nodule", "effusion"], n_images=3
    )
    assert dataset.info.output_names == ("nodule", "effusion")
