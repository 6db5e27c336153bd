"""What every dataset of the catalog must do; a new one needs an example in trees.py and passes from then on."""

import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from xaibench.datasets import DATASETS, Dataset, InputError, MaskKind, Task, targets_of
from xaibench.datasets.case import TargetRule

from .trees import examples

NAMES = list(DATASETS)


@pytest.fixture(scope="module")
def params(tmp_path_factory) -> dict[str, dict[str, Any]]:
    return dict(examples(tmp_path_factory.mktemp("trees")))


@pytest.fixture(params=NAMES)
def dataset(request, params) -> Dataset:
    return DATASETS.create(request.param, **params[request.param])


def test_every_dataset_has_an_example(params):
    assert sorted(params) == NAMES


def test_samples_are_as_the_info_says(dataset):
    info = dataset.info
    assert len(dataset) > 3
    names = set()
    for index in range(len(dataset)):
        sample = dataset[index]
        names.add(sample.sample_id)
        assert sample.image.shape[0] == info.channels
        assert info.image_size is None or tuple(sample.image.shape[1:]) == info.image_size
        assert 0.0 <= float(sample.image.min()) <= float(sample.image.max()) <= 1.0
        assert sample.image.is_contiguous()
        assert sample.outputs.shape == (len(info.output_names),)
        if info.task is not Task.REGRESSION:
            assert set(sample.outputs.tolist()) <= {0.0, 1.0}
        if info.task is Task.MULTICLASS:
            assert len(targets_of(sample, task=info.task, rule=TargetRule.LABEL)) == 1
        assert (info.mask_kind is not MaskKind.NONE) or sample.gt_masks is None
    assert len(names) == len(dataset)
    assert torch.equal(dataset.outputs(), torch.stack([dataset[i].outputs for i in range(len(dataset))]))
    if info.mask_kind is not MaskKind.NONE:
        assert any(bool(dataset[i].gt_masks.any()) for i in range(len(dataset)))


def test_the_info_is_complete(dataset, params):
    info = dataset.info
    assert info.name in params
    assert len(info.fingerprint) == 32
    assert len(set(info.output_names)) == len(info.output_names)
    assert all(name and name == name.strip() for name in info.output_names)
    for text in (info.version, info.license, info.citation):
        assert text.strip()


def test_a_sample_is_the_same_twice_and_leaves_no_trace(dataset):
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())  # noqa: NPY002
    first, again = dataset[1], dataset[1]
    after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())  # noqa: NPY002
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])
    assert first.sample_id == again.sample_id
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.outputs, again.outputs)


@pytest.mark.parametrize("name", NAMES)
def test_two_objects_of_the_same_parameters_are_one_dataset(name, params):
    one, other = (DATASETS.create(name, **params[name]) for _ in range(2))
    assert one.info == other.info
    assert torch.equal(one[2].image, other[2].image)


def test_it_can_be_sent_to_another_process(dataset):
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.info == dataset.info
    assert torch.equal(copy[0].image, dataset[0].image)


@pytest.mark.parametrize("index", [-1, 10**6])
def test_an_index_out_of_range_is_an_index_error(dataset, index):
    with pytest.raises(IndexError):
        dataset[index]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", [{"split": "tset"}, {"image_size": 3}])
def test_a_bad_setting_is_refused_in_one_line(name, change, params):
    with pytest.raises(InputError) as caught:
        DATASETS.create(name, **{**params[name], **change})
    assert "\n" not in str(caught.value)
    assert str(next(iter(change.values()))) in str(caught.value)


@pytest.mark.parametrize("name", [name for name in NAMES if "root" in DATASETS.params(name)])
def test_a_missing_folder_is_named(name, params, tmp_path: Path):
    with pytest.raises(InputError, match="nowhere: no such folder; wanted"):
        DATASETS.create(name, **{**params[name], "root": str(tmp_path / "nowhere")})


def test_torch_can_load_it_in_parallel(params):
    dataset = DATASETS.create("rsna_pneumonia", **params["rsna_pneumonia"])
    loader = DataLoader(dataset, batch_size=4, num_workers=1, collate_fn=list)
    loaded = [sample for batch in loader for sample in batch]
    assert [sample.sample_id for sample in loaded] == [sample.sample_id for sample in dataset]
    assert all(torch.equal(a.image, b.image) for a, b in zip(loaded, dataset, strict=True))
