"""Which outputs a decoder is asked for."""

import pytest
import torch

from xaibench.datasets import Task
from xaibench.explainers.nem.targets import draw_targets, present_targets, target_scores


def test_scores_are_gathered_per_row():
    scores, targets = torch.rand(6, 4), torch.tensor([3, 0, 0, 1, 2, 3])
    found = target_scores(scores, targets)
    # Not B × B: `scores[:, targets]` would train each image on its neighbours' targets.
    assert found.shape == (6,)
    assert found.tolist() == [float(scores[row, int(target)]) for row, target in enumerate(targets)]


def draw(scores: torch.Tensor, task: Task, share: float) -> torch.Tensor:
    return draw_targets(scores, task=task, random_share=share, generator=torch.Generator().manual_seed(77))


def test_multiclass_images_are_asked_for_what_the_classifier_sees():
    scores = torch.rand(200, 5, generator=torch.Generator().manual_seed(0))
    predicted = scores.argmax(dim=1)
    assert torch.equal(draw(scores, Task.MULTICLASS, 0.0), predicted)
    assert set(draw(scores, Task.MULTICLASS, 1.0).tolist()) == set(range(5))
    # A quarter is asked for any of five targets: a fifth of these are the prediction by chance.
    agreement = float((draw(scores, Task.MULTICLASS, 0.25) == predicted).float().mean())
    assert agreement == pytest.approx(0.75 + 0.25 / 5, abs=0.1)


def test_multilabel_images_are_asked_for_any_present_label():
    scores = torch.tensor([[0.9, 0.1, 0.8]]).expand(400, 3)
    targets = draw(scores, Task.MULTILABEL, 0.0)
    assert set(targets.tolist()) == {0, 2}
    assert float((targets == 0).float().mean()) == pytest.approx(0.5, abs=0.1)
    nothing = draw(torch.full((200, 3), 0.1), Task.MULTILABEL, 0.0)
    assert set(nothing.tolist()) == {0, 1, 2}


def test_regression_images_are_asked_for_any_output():
    assert set(draw(torch.rand(200, 3), Task.REGRESSION, 0.0).tolist()) == {0, 1, 2}


def test_present_targets_are_those_that_the_classifier_sees():
    scores = torch.tensor([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.4, 0.2, 0.4], [0.6, 0.55, 0.1]])
    targets = torch.tensor([0, 1, 1, 1])
    assert present_targets(scores, targets, task=Task.MULTICLASS).tolist() == [True, True, True, True]
    absent = present_targets(scores, torch.tensor([2, 2, 2, 2]), task=Task.MULTICLASS)
    assert absent.tolist() == [False, False, True, False]
    assert present_targets(scores, targets, task=Task.MULTILABEL).tolist() == [True, False, False, True]
    assert present_targets(scores, targets, task=Task.REGRESSION).all()
