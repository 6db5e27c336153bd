"""What every explainer promises, tried on every plugin of the catalog."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import numpy as np
import pytest
import torch
from torch import Tensor

from xaibench.datasets import InputError, Task
from xaibench.explainers import CONTROLS, EXPLAINERS, Classifier, Explainer

NAMES = list(EXPLAINERS)
STOCHASTIC = [name for name in NAMES if EXPLAINERS.get(name).is_random or EXPLAINERS.get(name).needs_fit]


@pytest.fixture(scope="module")
def shared_classifier(make_classifier) -> Classifier:
    return make_classifier()


@pytest.fixture(scope="module", params=NAMES)
def explainer(request, build, shared_classifier, blobs) -> Explainer:
    return build(request.param, shared_classifier, blobs)


@pytest.fixture(scope="module")
def batch(make_batch):
    return make_batch()


def assert_close(found: Tensor, wanted: Tensor) -> None:
    """Equal up to the rounding of another batch size, relative to the maximum of each map."""
    scale = wanted.abs().amax(dim=(1, 2)).clamp(min=1e-12)
    difference = (found - wanted).abs().amax(dim=(1, 2)) / scale
    assert float(difference.max()) < 1e-4


def test_maps_are_float32_finite_and_as_large_as_the_images(explainer, batch):
    maps = batch.explained_by(explainer)
    assert maps.shape == (8, 32, 32)
    assert maps.dtype == torch.float32
    assert maps.isfinite().all()
    assert not maps.requires_grad
    assert maps.grad_fn is None


def test_a_map_says_something(explainer, batch):
    maps = batch.explained_by(explainer)
    # An untrained network may have no positive evidence for a target, so some maps may be empty, but not most.
    assert (maps.abs().amax(dim=(1, 2)) > 0).float().mean() > 0.5


def test_maps_do_not_depend_on_the_batch_size(explainer, batch):
    one_by_one = torch.cat([batch[i : i + 1].explained_by(explainer) for i in range(8)])
    assert_close(batch.explained_by(explainer), one_by_one)


def test_maps_do_not_depend_on_batch_mates(explainer, batch, make_batch):
    wanted = batch[:3].explained_by(explainer)
    strangers = make_batch(seed=99)
    mixed = type(batch)(
        images=torch.cat([strangers.images * 0, batch.images[:3], strangers.images]),
        targets=torch.cat([strangers.targets, batch.targets[:3], strangers.targets]),
        gt_masks=torch.cat([strangers.gt_masks, batch.gt_masks[:3], ~strangers.gt_masks]),
    )
    assert_close(mixed.explained_by(explainer)[8:11], wanted)


def test_maps_follow_a_permutation_of_the_batch(explainer, batch):
    order = torch.tensor([5, 2, 7, 0, 3, 1, 6, 4])
    assert_close(batch[order].explained_by(explainer), batch.explained_by(explainer)[order])


def test_a_second_call_gives_the_same_bytes(explainer, batch):
    first = batch.explained_by(explainer)
    np.random.seed(7)  # noqa: NPY002 - state that must not matter
    torch.manual_seed(7)
    assert torch.equal(batch.explained_by(explainer), first)


@pytest.mark.parametrize("name", NAMES)
def test_a_second_instance_with_the_same_seed_gives_the_same_bytes(name, build, shared_classifier, blobs, batch):
    first = batch.explained_by(build(name, shared_classifier, blobs, seed=5))
    torch.manual_seed(11)
    second = batch.explained_by(build(name, shared_classifier, blobs, seed=5))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_another_seed_gives_another_map(name, build, shared_classifier, blobs, batch):
    first, second = (batch.explained_by(build(name, shared_classifier, blobs, seed=seed)) for seed in (1, 2))
    assert (first - second).abs().amax(dim=(1, 2)).min() > 0


def test_two_different_images_of_a_batch_get_different_noise(build, shared_classifier, blobs, batch):
    maps = batch.explained_by(build("random", shared_classifier, blobs))
    assert len({tuple(row.flatten()[:8].tolist()) for row in maps}) == 8


@pytest.mark.parametrize("name", [name for name in NAMES if name not in CONTROLS])
def test_another_target_gives_another_map_or_is_declared_to_be_ignored(name, build, shared_classifier, blobs, batch):
    explainer = build(name, shared_classifier, blobs)
    others = type(batch)(images=batch.images, targets=(batch.targets + 1) % 3, gt_masks=batch.gt_masks)
    maps, other_maps = batch.explained_by(explainer), others.explained_by(explainer)
    assert torch.equal(other_maps, maps) if explainer.ignores_target else not torch.allclose(other_maps, maps)


@pytest.fixture
def scarred(make_classifier) -> Iterator[Classifier]:
    """A classifier that carries what a careless library would wipe out: gradients, switches, hooks."""
    classifier = make_classifier()
    for number, parameter in enumerate(classifier.parameters()):
        parameter.grad = torch.full_like(parameter, 0.5) if number % 2 else None
        parameter.requires_grad_(number % 3 > 0)
    layer = classifier.cam_layer
    handles = [
        layer.register_forward_hook(lambda *_: None),
        layer.register_forward_pre_hook(lambda *_: None),
    ]
    yield classifier
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_behind(name, build, scarred, blobs, batch, untouched):
    explainer = build(name, scarred, blobs)
    images, targets, gt_masks = batch.images.clone(), batch.targets.clone(), batch.gt_masks.clone()
    images.requires_grad_()
    with untouched(scarred):
        explainer.explain(images, targets, gt_masks=gt_masks)
    assert torch.equal(images, batch.images)
    assert torch.equal(targets, batch.targets)
    assert torch.equal(gt_masks, batch.gt_masks)
    assert images.requires_grad
    assert images.grad is None


@pytest.mark.parametrize("name", NAMES)
def test_frozen_parameters_do_not_change_the_map(name, build, make_classifier, blobs, batch):
    classifier = make_classifier()
    explainer = build(name, classifier, blobs)
    wanted = batch.explained_by(explainer)
    classifier.requires_grad_(False)
    assert_close(batch.explained_by(explainer), wanted)


@pytest.mark.parametrize("name", NAMES)
def test_training_mode_does_not_change_the_map(name, build, make_classifier, blobs, batch):
    classifier = make_classifier()
    explainer = build(name, classifier, blobs)
    wanted = batch.explained_by(explainer)
    classifier.train()
    assert torch.equal(batch.explained_by(explainer), wanted)
    classifier.module.train()
    assert torch.equal(batch.explained_by(explainer), wanted)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_gradient_mode_does_not_matter(explainer, batch, mode: Callable[[], AbstractContextManager[None]]):
    wanted = batch.explained_by(explainer)
    with mode():
        inside = type(batch)(
            images=batch.images.clone(), targets=batch.targets.clone(), gt_masks=batch.gt_masks.clone()
        )
        assert torch.equal(inside.explained_by(explainer), wanted)


def test_the_memory_layout_does_not_matter(explainer, batch):
    images = batch.images.to(memory_format=torch.channels_last)
    strided = type(batch)(images=images, targets=batch.targets, gt_masks=batch.gt_masks)
    assert_close(strided.explained_by(explainer), batch.explained_by(explainer))


@pytest.mark.parametrize("size", [(50, 50), (41, 56)])
def test_sides_need_not_be_multiples_of_32(explainer, make_batch, size):
    maps = make_batch(size=size, n=2).explained_by(explainer)
    assert maps.shape == (2, *size)
    assert maps.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_one_channel(name, build, make_classifier, make_blobs, make_batch):
    explainer = build(name, make_classifier(channels=1), make_blobs(channels=1))
    maps = make_batch(channels=1, n=3).explained_by(explainer)
    assert maps.shape == (3, 32, 32)
    assert maps.isfinite().all()


@pytest.mark.parametrize("task", [Task.MULTILABEL, Task.REGRESSION])
@pytest.mark.parametrize("name", NAMES)
def test_other_tasks(name, task, build, make_classifier, blobs, make_batch):
    maps = make_batch(n=3).explained_by(build(name, make_classifier(task=task), blobs))
    assert maps.shape == (3, 32, 32)
    assert maps.isfinite().all()


_IMAGES, _TARGETS, _MASKS = torch.rand(2, 3, 32, 32), torch.tensor([0, 2]), torch.ones(2, 32, 32, dtype=torch.bool)


@pytest.mark.parametrize(
    ("images", "targets", "gt_masks", "named"),
    [
        (_IMAGES[0], _TARGETS[:1], _MASKS[:1], "images"),
        (_IMAGES[:, :1], _TARGETS, _MASKS, "images"),
        (_IMAGES.double(), _TARGETS, _MASKS, "images"),
        ((_IMAGES * 255).byte(), _TARGETS, _MASKS, "images"),
        (_IMAGES[:0], _TARGETS[:0], _MASKS[:0], "images"),
        (_IMAGES, _TARGETS[:1], _MASKS, "targets"),
        (_IMAGES, _TARGETS[:, None], _MASKS, "targets"),
        (_IMAGES, _TARGETS.int(), _MASKS, "targets"),
        (_IMAGES, _TARGETS.float(), _MASKS, "targets"),
        (_IMAGES, torch.tensor([0, 3]), _MASKS, "targets"),
        (_IMAGES, torch.tensor([-1, 0]), _MASKS, "targets"),
        (_IMAGES, _TARGETS, _MASKS[:, :16], "gt_masks"),
        (_IMAGES, _TARGETS, _MASKS.float(), "gt_masks"),
    ],
)
def test_wrong_input_is_named(explainer, images, targets, gt_masks, named):
    with pytest.raises(InputError, match=f"{type(explainer).__name__}.*{named}.*wanted"):
        explainer.explain(images, targets, gt_masks=gt_masks)


@pytest.mark.parametrize("name", NAMES)
def test_metadata_is_complete(name):
    plugin = EXPLAINERS.get(name)
    assert plugin.family in {"gradient", "cam", "perturbation", "attention", "amortized", "control"}
    assert plugin.citation
    assert plugin.passes
    assert plugin.library in {"xaibench", "captum"}
    assert plugin.__doc__
    assert plugin.is_control == (name in CONTROLS)
    assert plugin.sees_gt_masks == (name == "oracle")


@pytest.mark.parametrize("name", NAMES)
def test_what_needs_a_fit_says_so(name, shared_classifier, batch, tmp_path):
    explainer = EXPLAINERS.create(name, shared_classifier)
    assert explainer.fit_record is None
    with pytest.raises(InputError, match="not fitted" if explainer.needs_fit else "learns nothing"):
        explainer.save(tmp_path / "explainer.safetensors")
    if explainer.needs_fit:
        with pytest.raises(InputError, match="not fitted"):
            batch.explained_by(explainer)
