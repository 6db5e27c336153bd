"""The base class against plugins that behave badly."""

import random
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from xaibench.datasets import InputError
from xaibench.explainers import Explainer, ExplainerError


class Bad(Explainer):
    family: ClassVar[str] = "bad"
    citation: ClassVar[str] = "tests"

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        return torch.zeros_like(images[:, 0])


class LeavesHooks(Bad):
    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        for module in self.classifier.modules():
            module.register_forward_hook(lambda *_: None)
            module.register_forward_pre_hook(lambda *_: None)
            module.register_full_backward_hook(lambda *_: None)
            module.register_full_backward_pre_hook(lambda *_: None)
        return super()._attribute(images, targets)


class WritesGradients(Bad):
    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        self.classifier(images).sum().backward()
        return super()._attribute(images, targets)


class FlipsSwitches(Bad):
    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        for parameter in self.classifier.parameters():
            parameter.requires_grad_(not parameter.requires_grad)
        self.classifier.module.train()
        torch.set_grad_enabled(False)
        return super()._attribute(images, targets)


class SeedsEverything(Bad):
    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.manual_seed(1)
        return super()._attribute(images, targets)


class PaintsOverItsInput(Bad):
    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        images.zero_()
        targets.zero_()
        return super()._attribute(images, targets)


class MasksPainter(Bad):
    sees_gt_masks = True

    def _attribute_from_masks(self, images: Tensor, targets: Tensor, gt_masks: Tensor) -> Tensor:
        gt_masks.zero_()
        return self._attribute(images, targets)


class Fails(Bad):
    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        self.classifier.module.register_forward_hook(lambda *_: None)
        self.classifier(images).sum().backward()
        torch.manual_seed(1)
        torch.set_grad_enabled(False)
        raise RuntimeError("broken")


class Returns(Bad):
    result: ClassVar[Tensor]

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        return self.result


@pytest.mark.parametrize(
    "plugin", [LeavesHooks, WritesGradients, FlipsSwitches, SeedsEverything, PaintsOverItsInput, MasksPainter]
)
def test_traces_are_removed(plugin, classifier, make_batch, untouched):
    for parameter in list(classifier.parameters())[::2]:
        parameter.grad = torch.ones_like(parameter)
    batch = make_batch(n=2)
    images, targets, gt_masks = batch.images.clone(), batch.targets.clone(), batch.gt_masks.clone()
    with untouched(classifier):
        plugin(classifier).explain(images, targets, gt_masks=gt_masks)
    assert torch.equal(images, batch.images)
    assert torch.equal(targets, batch.targets)
    assert torch.equal(gt_masks, batch.gt_masks)


def test_a_failure_leaves_no_trace_either(classifier, make_batch, untouched):
    batch = make_batch(n=2)
    with untouched(classifier), pytest.raises(RuntimeError, match="broken"):
        Fails(classifier).explain(batch.images, batch.targets)


@pytest.mark.parametrize(
    "result",
    [
        torch.zeros(2, 3, 32, 32),
        torch.zeros(2, 1, 32, 32),
        torch.zeros(2, 16, 16),
        torch.zeros(1, 32, 32),
        torch.zeros(2, 32, 32, dtype=torch.float64),
        torch.zeros(2, 32, 32, dtype=torch.float16),
        torch.zeros(2, 32, 32, dtype=torch.bool),
    ],
)
def test_another_shape_or_dtype_is_the_plugins_defect(classifier, make_batch, result):
    batch = make_batch(n=2)
    plugin = type("Odd", (Returns,), {"result": result})
    with pytest.raises(ExplainerError, match=r"Odd returned .*; wanted float32 \(2, 32, 32\)"):
        plugin(classifier).explain(batch.images, batch.targets)


def test_a_result_with_a_graph_is_detached(classifier, make_batch):
    batch = make_batch(n=2)

    class KeepsItsGraph(Bad):
        def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
            return images.requires_grad_().sum(dim=1)

    assert not KeepsItsGraph(classifier).explain(batch.images, batch.targets).requires_grad


def test_the_oracle_asks_for_masks(classifier, make_batch):
    batch = make_batch(n=2)
    with pytest.raises(InputError, match="MasksPainter needs gt_masks"):
        MasksPainter(classifier).explain(batch.images, batch.targets)


def test_explain_cannot_be_called_by_position_for_masks(classifier, make_batch):
    batch = make_batch(n=2)
    with pytest.raises(TypeError):
        Bad(classifier).explain(batch.images, batch.targets, batch.gt_masks)  # type: ignore[misc]


def test_what_learns_nothing_cannot_be_saved_or_loaded(classifier, tmp_path):
    with pytest.raises(InputError, match="Bad learns nothing"):
        Bad(classifier).save(tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match="Bad learns nothing"):
        Bad.load(tmp_path / "bad.safetensors", classifier)
