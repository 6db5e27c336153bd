"""MedMNIST files: values, labels, and what is refused with which words."""

from pathlib import Path

import numpy as np
import pytest
import torch

from xaibench.datasets import InputError, MaskKind, MedMnist, Task
from xaibench.datasets.medmnist_tables import MEDMNIST_SETS

from .trees import write_medmnist


@pytest.mark.parametrize(
    ("name", "task", "channels", "n_outputs"),
    [
        ("pneumoniamnist", Task.MULTICLASS, 1, 2),
        ("dermamnist", Task.MULTICLASS, 3, 7),
        ("chestmnist", Task.MULTILABEL, 1, 14),
        ("retinamnist", Task.REGRESSION, 3, 1),
    ],
)
def test_images_and_labels_are_those_of_the_file(tmp_path, name, task, channels, n_outputs):
    root = write_medmnist(tmp_path, name=name)
    dataset = MedMnist(root=root, name=name, split="train")
    with np.load(root / f"{name}.npz") as arrays:
        images, labels = arrays["train_images"], arrays["train_labels"]
    assert dataset.info.task is task
    assert dataset.info.channels == channels
    assert dataset.info.mask_kind is MaskKind.NONE
    assert len(dataset) == 12
    for index, sample in enumerate(dataset):
        planes = images[index][None] if channels == 1 else images[index].transpose(2, 0, 1)
        assert np.allclose(sample.image.numpy(), planes / 255, atol=1e-7)
        assert sample.gt_masks is None
        assert sample.outputs.shape == (n_outputs,)
        if task is Task.MULTICLASS:
            assert int(sample.outputs.argmax()) == labels[index, 0]
            assert sample.outputs.sum() == 1.0
        else:
            assert sample.outputs.tolist() == labels[index].tolist()


def test_sizes_are_files_of_their_own_and_images_can_be_resized(tmp_path):
    write_medmnist(tmp_path)
    shapes = {name: np.zeros((4, 64, 64), dtype=np.uint8) for name in ("train_images", "val_images", "test_images")}
    labels = {name: np.zeros((4, 1), dtype=np.uint8) for name in ("train_labels", "val_labels", "test_labels")}
    np.savez_compressed(tmp_path / "pneumoniamnist_64.npz", **shapes, **labels)
    assert MedMnist(root=tmp_path, name="pneumoniamnist", size=64)[0].image.shape == (1, 64, 64)
    small = MedMnist(root=tmp_path, name="pneumoniamnist", image_size=40)
    assert small[0].image.shape == (1, 40, 40)
    assert small.info.image_size == (40, 40)


def test_images_are_read_when_asked_for_and_stay_behind(tmp_path):
    dataset = MedMnist(root=write_medmnist(tmp_path), name="pneumoniamnist")
    assert "_images" not in dataset.__dict__
    dataset[0]
    assert "_images" in dataset.__dict__
    assert "_images" not in dataset.__getstate__()


def test_the_fingerprint_follows_content_and_settings(tmp_path):
    def fingerprint(**settings):
        return MedMnist(root=tmp_path, name="pneumoniamnist", **settings).info.fingerprint

    write_medmnist(tmp_path)
    seen = [fingerprint(), fingerprint(split="val"), fingerprint(image_size=32)]
    assert fingerprint() == seen[0]
    write_medmnist(tmp_path, test_images=np.zeros((6, 28, 28), dtype=np.uint8))
    seen.append(fingerprint())
    assert len(set(seen)) == 4


def test_every_set_has_two_names_or_a_value():
    for name, facts in MEDMNIST_SETS.items():
        assert (len(facts.output_names) >= 2) == (facts.task is not Task.REGRESSION), name
        assert facts.channels in (1, 3)


def arrays(**changes):
    return lambda root: write_medmnist(root, **changes)


def garbage(content: bytes):
    return lambda root: (root / "pneumoniamnist.npz").write_bytes(content)


def truncated(root: Path) -> None:
    path = root / "pneumoniamnist.npz"
    path.write_bytes(path.read_bytes()[:1000])


BAD = [
    (None, {"name": "pneumonia"}, ["unknown set 'pneumonia'", "did you mean 'pneumoniamnist'"]),
    (None, {"split": "all"}, ["'all'", "official"]),
    (None, {"size": 32}, ["size is 32", "28, 64, 128 and 224"]),
    (None, {"image_size": 8}, ["image_size is 8"]),
    (None, {"size": 64}, ["pneumoniamnist_64.npz: no such file", "medmnist.com"]),
    (garbage(b""), {}, ["pneumoniamnist.npz", "cannot be read as .npz"]),
    (garbage(b"hello"), {}, ["pneumoniamnist.npz", "cannot be read as .npz"]),
    (truncated, {}, ["pneumoniamnist.npz", "cannot be read as .npz"]),
    (arrays(test_images=None), {}, ["no array 'test_images'", "found test_labels, train_images"]),
    (arrays(test_images=np.zeros((6, 32, 32))), {}, ["test_images have shape (6, 32, 32)", "(images, 28, 28)"]),
    (arrays(test_labels=np.zeros((5, 1))), {}, ["test_labels have shape (5, 1)", "(6, 1)"]),
    (arrays(test_labels=np.full((6, 1), 7)), {}, ["labels of test are 7 to 7", "0 to 1"]),
    (
        arrays(test_images=np.zeros((0, 28, 28)), test_labels=np.zeros((0, 1))),
        {},
        ["labels of test are none", "check name"],
    ),
    (
        arrays(test_labels=np.array([[{}]] * 6, dtype=object)),
        {},
        ["array 'test_labels' cannot be read", "get the file again"],
    ),
]


@pytest.mark.parametrize(("damage", "settings", "words"), BAD, ids=[words[0] for _, _, words in BAD])
def test_bad_input_says_what_and_where(tmp_path, damage, settings, words):
    write_medmnist(tmp_path)
    if damage is not None:
        damage(tmp_path)
    with pytest.raises(InputError) as caught:
        MedMnist(root=tmp_path, **{"name": "pneumoniamnist", **settings})
    for word in words:
        assert word in str(caught.value)


def test_an_output_tensor_cannot_be_changed_from_outside(tmp_path):
    dataset = MedMnist(root=write_medmnist(tmp_path), name="pneumoniamnist")
    before = dataset.outputs()
    dataset.outputs().zero_()
    assert torch.equal(dataset.outputs(), before)
