"""Performance against scikit-learn, and the test against chance."""

import numpy as np
import pytest
import torch
from scipy.stats import binom
from sklearn.metrics import accuracy_score, balanced_accuracy_score, r2_score, roc_auc_score
from torch import Tensor

from xaibench.datasets import Task
from xaibench.explainers import Performance, measure_performance
from xaibench.explainers.classifiers import performance


def one_hot(labels: Tensor, n: int) -> Tensor:
    return torch.nn.functional.one_hot(labels, n).float()


def informative_scores(outputs: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * outputs + torch.randn(outputs.shape, generator=generator)).softmax(dim=1)


@pytest.mark.parametrize("seed", range(5))
def test_multiclass_equals_scikit_learn(seed):
    labels = torch.randint(4, (60,), generator=torch.Generator().manual_seed(seed))
    outputs = one_hot(labels, 4)
    scores = informative_scores(outputs, seed).round(decimals=2)  # with ties
    scores = scores / scores.sum(dim=1, keepdim=True)
    found = measure_performance(scores, outputs, task=Task.MULTICLASS)
    predicted = scores.argmax(dim=1)
    assert found.n_samples == 60
    assert found.accuracy == pytest.approx(accuracy_score(labels, predicted))
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted))
    wanted = np.mean([roc_auc_score(outputs[:, k], scores.double()[:, k]) for k in range(4)])
    assert found.auc == pytest.approx(wanted)
    assert found.r2 is None


@pytest.mark.parametrize("seed", range(3))
def test_multilabel_equals_scikit_learn(seed):
    generator = torch.Generator().manual_seed(seed)
    outputs = (torch.rand(80, 3, generator=generator) < 0.4).float()
    scores = (outputs - 0.5 + torch.randn(80, 3, generator=generator)).sigmoid()
    found = measure_performance(scores, outputs, task=Task.MULTILABEL)
    decided = scores > 0.5
    assert found.accuracy == pytest.approx(float((decided == outputs.bool()).float().mean()), abs=1e-6)
    assert found.balanced_accuracy == pytest.approx(
        np.mean([balanced_accuracy_score(outputs[:, k], decided[:, k]) for k in range(3)])
    )
    assert found.auc == pytest.approx(roc_auc_score(outputs, scores, average="macro"))


def test_regression_equals_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(50, 2, generator=generator) * torch.tensor([1.0, 7.0])
    scores = outputs + torch.randn(50, 2, generator=generator)
    found = measure_performance(scores, outputs, task=Task.REGRESSION)
    assert found.r2 == pytest.approx(r2_score(outputs, scores))
    assert (found.accuracy, found.balanced_accuracy, found.auc) == (None, None, None)
    assert found.beats_chance
    assert found.summary() == f"R² {found.r2:.3f} (n = 50)"


def test_classes_that_do_not_occur_do_not_count():
    labels = torch.tensor([0, 0, 0, 2, 2])
    scores = torch.tensor([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.1, 0.2, 0.7], [0.1, 0.1, 0.8]])
    found = measure_performance(scores, one_hot(labels, 3), task=Task.MULTICLASS)
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
    wanted = np.mean([roc_auc_score(labels == k, scores[:, k]) for k in (0, 2)])
    assert found.auc == pytest.approx(wanted)


@pytest.mark.parametrize("task", list(Task))
def test_random_scores_rarely_beat_chance(task, monkeypatch):
    monkeypatch.setattr(performance, "_N_PERMUTATIONS", 99)

    def beats(seed: int) -> bool:
        generator = torch.Generator().manual_seed(seed)
        scores = torch.rand(30, 3, generator=generator)
        if task is Task.MULTICLASS:
            outputs = one_hot(torch.randint(3, (30,), generator=generator), 3)
        elif task is Task.MULTILABEL:
            outputs = (torch.rand(30, 3, generator=generator) < 0.4).float()
        else:
            outputs = torch.randn(30, 3, generator=generator)
        return measure_performance(scores, outputs, task=task, seed=seed).beats_chance

    hits = sum(beats(seed) for seed in range(100))
    # The test rejects 5 % of the time where there is nothing: 0 to 14 of 100 with a probability of 0.9998.
    assert binom.ppf(1e-4, 100, 0.05) <= hits <= binom.ppf(1 - 1e-4, 100, 0.05)
    assert hits > 0


def test_perfect_scores_beat_chance():
    outputs = one_hot(torch.arange(30) % 3, 3)
    found = measure_performance(outputs, outputs, task=Task.MULTICLASS)
    assert (found.accuracy, found.balanced_accuracy, found.auc) == (1, 1, 1)
    assert found.beats_chance
    assert found.chance_p_value == pytest.approx(1 / 1000)
    assert found.summary() == "accuracy 1.000, balanced accuracy 1.000, AUC 1.000 (n = 30)"


@pytest.mark.parametrize("task", list(Task))
def test_constant_scores_do_not(task):
    outputs = one_hot(torch.arange(30) % 3, 3)
    found = measure_performance(torch.full((30, 3), 1 / 3), outputs, task=task)
    assert not found.beats_chance
    assert found.chance_p_value == 1


def test_the_majority_class_does_not_beat_chance():
    outputs = one_hot((torch.arange(40) > 35).long(), 2)
    found = measure_performance(torch.tensor([[0.9, 0.1]]).expand(40, 2), outputs, task=Task.MULTICLASS)
    assert found.accuracy == pytest.approx(0.9)
    assert found.balanced_accuracy == pytest.approx(0.5)
    assert not found.beats_chance


def test_one_class_alone_can_beat_nothing():
    found = measure_performance(torch.rand(10, 2), one_hot(torch.zeros(10, dtype=torch.int64), 2), task=Task.MULTICLASS)
    assert found.auc is None
    assert found.chance_p_value == 1
    assert "AUC" not in found.summary()


def test_the_permutation_test_is_seeded_and_leaves_the_global_generator_alone():
    outputs = one_hot(torch.arange(30) % 3, 3)
    scores = informative_scores(outputs, 1) * 0.2 + torch.rand(30, 3, generator=torch.Generator().manual_seed(0))
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again = (measure_performance(scores, outputs, task=Task.MULTICLASS, seed=4) for _ in range(2))
    assert first == again
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert Performance(**first.as_dict()) == first
