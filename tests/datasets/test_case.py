"""Samples, cases and batches of cases."""

import pytest
import torch

from xaibench.datasets import (
    Case,
    CaseBatch,
    Dataset,
    InputError,
    Sample,
    SyntheticLesions,
    TargetRule,
    Task,
    sample_batches,
    targets_of,
)


def sample(outputs: list[float], *, size: int = 16, gt_masks: torch.Tensor | None = None) -> Sample:
    return Sample(sample_id="s1", image=torch.rand(3, size, size), outputs=torch.tensor(outputs), gt_masks=gt_masks)


@pytest.mark.parametrize(
    ("task", "rule", "outputs", "predicted", "targets"),
    [
        (Task.MULTICLASS, TargetRule.LABEL, [0.0, 0.0, 1.0], None, (2,)),
        (Task.MULTICLASS, TargetRule.LABEL, [0.0, 0.0, 1.0], 0, (2,)),
        (Task.MULTICLASS, TargetRule.PREDICTED, [0.0, 0.0, 1.0], 0, (0,)),
        (Task.MULTILABEL, TargetRule.LABEL, [1.0, 0.0, 1.0], None, (0, 2)),
        (Task.MULTILABEL, TargetRule.PREDICTED, [1.0, 0.0, 1.0], None, (0, 2)),
        (Task.MULTILABEL, TargetRule.LABEL, [0.0, 0.0, 0.0], None, ()),
        (Task.REGRESSION, TargetRule.LABEL, [0.0, -3.0, 0.2], None, (0, 1, 2)),
        (Task.REGRESSION, TargetRule.PREDICTED, [0.0, -3.0], None, (0, 1)),
    ],
)
def test_targets(task, rule, outputs, predicted, targets):
    assert targets_of(sample(outputs), task=task, rule=rule, predicted=predicted) == targets


@pytest.mark.parametrize(
    ("rule", "outputs", "words"),
    [
        (TargetRule.LABEL, [0.0, 0.0], "s1: 0 labels.*wanted 1"),
        (TargetRule.LABEL, [1.0, 1.0], "s1: 2 labels.*multilabel"),
        (TargetRule.PREDICTED, [1.0, 0.0], "s1: the predicted class.*none was given"),
    ],
)
def test_targets_that_cannot_be_named(rule, outputs, words):
    with pytest.raises(InputError, match=words):
        targets_of(sample(outputs), task=Task.MULTICLASS, rule=rule)


def test_the_mask_of_a_case_is_that_of_its_target():
    masks = torch.zeros(2, 16, 16, dtype=torch.bool)
    masks[1, 3:5, 4:9] = True
    annotated = sample([0.0, 1.0], gt_masks=masks)
    assert torch.equal(Case(sample=annotated, target=1).gt_mask, masks[1])
    assert Case(sample=annotated, target=0).gt_mask is None
    assert Case(sample=sample([0.0, 1.0]), target=0).gt_mask is None


def test_a_batch_stacks_its_cases():
    cases = [
        Case(sample=one, target=int(target))
        for one in SyntheticLesions(task="multilabel", n_images=6, image_size=32)
        for target in torch.nonzero(one.outputs)
    ]
    cases.append(Case(sample=sample([1.0, 0.0], size=32), target=0))
    batch = CaseBatch.of(cases)
    assert batch.images.shape == (len(cases), 3, 32, 32)
    assert batch.targets.dtype == torch.int64
    assert batch.gt_masks.dtype == torch.bool
    for place, case in enumerate(cases):
        assert torch.equal(batch.images[place], case.sample.image)
        assert int(batch.targets[place]) == case.target
        assert torch.equal(
            batch.gt_masks[place], torch.zeros(32, 32, dtype=torch.bool) if case.gt_mask is None else case.gt_mask
        )


@pytest.mark.parametrize("sizes", [(16, 17), ()])
def test_a_batch_of_different_sizes_is_refused(sizes):
    with pytest.raises(InputError, match="image_size"):
        CaseBatch.of([Case(sample=sample([1.0], size=size), target=0) for size in sizes])


class Counting(Dataset):
    """Counts how often a sample is loaded."""

    def __init__(self) -> None:
        self.loaded = 0

    @property
    def info(self):
        raise NotImplementedError

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < 7:
            raise IndexError(index)
        self.loaded += 1
        return sample([float(index)])


@pytest.mark.parametrize(("limit", "sizes"), [(None, [3, 3, 1]), (5, [3, 2]), (100, [3, 3, 1]), (0, [])])
def test_batches_of_samples_keep_the_order(limit, sizes):
    batches = list(sample_batches(Counting(), 3, limit=limit))
    assert [len(batch) for batch in batches] == sizes
    assert [float(one.outputs[0]) for batch in batches for one in batch] == list(range(sum(sizes)))


def test_batches_that_other_processes_load_are_the_same():
    alone, parallel = (list(sample_batches(Counting(), 3, limit=5, workers=workers)) for workers in (0, 2))
    assert [[float(one.outputs[0]) for one in batch] for batch in parallel] == [[0.0, 1.0, 2.0], [3.0, 4.0]]
    assert [len(batch) for batch in parallel] == [len(batch) for batch in alone]


@pytest.mark.parametrize("workers", [0, 1])
def test_loading_batches_leaves_the_global_random_state(workers):
    # A training that validates in between would otherwise depend on how its images are loaded.
    before = torch.get_rng_state()
    list(sample_batches(SyntheticLesions(n_images=4, image_size=16), 3, workers=workers))
    assert torch.equal(torch.get_rng_state(), before)


def test_samples_are_loaded_when_asked_for():
    dataset = Counting()
    batches = sample_batches(dataset, 2)
    assert dataset.loaded == 0
    next(batches)
    assert dataset.loaded == 2
    assert dataset.outputs().flatten().tolist() == list(range(7))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": torch.zeros(3, 8, 8, dtype=torch.float64)}, r"image is torch\.float64"),
        ({"image": torch.zeros(8, 8)}, r"image is torch\.float32 \(8, 8\)"),
        ({"outputs": torch.zeros(2, dtype=torch.int64)}, r"outputs are torch\.int64"),
        ({"outputs": torch.zeros(1, 2)}, r"outputs are torch\.float32 \(1, 2\)"),
        ({"gt_masks": torch.zeros(2, 8, 8)}, r"gt_masks are torch\.float32"),
        ({"gt_masks": torch.zeros(3, 8, 8, dtype=torch.bool)}, r"gt_masks are .* \(3, 8, 8\).*wanted bool \(2, 8, 8\)"),
        ({"gt_masks": torch.zeros(2, 8, 9, dtype=torch.bool)}, r"wanted bool \(2, 8, 8\)"),
    ],
)
def test_a_sample_of_the_wrong_form_is_refused(change, words):
    good = {"image": torch.zeros(3, 8, 8), "outputs": torch.zeros(2)}
    Sample(sample_id="s1", **good)
    with pytest.raises(InputError, match=f"s1: .*{words}"):
        Sample(sample_id="s1", **{**good, **change})
