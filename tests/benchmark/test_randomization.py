"""Does a map depend on what the classifier has learned, and does it add up? Randomization and completeness."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import deepcopy

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from xaibench.benchmark.metrics import METRICS, ScoringContext
from xaibench.benchmark.metrics.parameter_randomization import layers_of, randomized, stages_of
from xaibench.benchmark.prepare import prepare
from xaibench.benchmark.rows import Status
from xaibench.datasets import CaseBatch, InputError, Task
from xaibench.explainers import EXPLAINERS, Classifier, Explainer

from .scored_cases import random_batch, tiny_classifier


def explained(explainer: Explainer, batch: CaseBatch) -> tuple[Tensor, ScoringContext]:
    masks = batch.gt_masks if explainer.sees_gt_masks else None
    raw = explainer.explain(batch.images, batch.targets, gt_masks=masks)
    return raw, ScoringContext(classifier=explainer.classifier, explainer=explainer, attribution=raw)


def test_layers_come_from_the_output_to_the_input_and_every_one_is_in_a_stage(
    make_classifier: Callable[..., Classifier],
) -> None:
    classifier = make_classifier()
    names = [name for name, _ in layers_of(classifier)]
    assert names[0] == "module.head"
    assert len(names) == sum(
        isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d) for layer in classifier.modules()
    )
    for stages in (1, 3, 4, 500):
        groups = stages_of(classifier, stages=stages)
        assert [name for group in groups for name, _ in group] == names
        assert len(groups) == min(stages, len(names))
        assert max(map(len, groups)) - min(map(len, groups)) <= 1


@pytest.mark.parametrize("order", ["top_down", "independent"])
def test_stages_are_randomized_one_after_the_other_or_each_alone(
    order: str,
    make_classifier: Callable[..., Classifier],
    untouched: Callable[[nn.Module], AbstractContextManager[None]],
) -> None:
    classifier = make_classifier()
    explainer = EXPLAINERS.create("saliency", classifier)
    before = {name: deepcopy(layer.state_dict()) for name, layer in layers_of(classifier)}
    stages = [{name for name, _ in group} for group in stages_of(classifier, stages=3)]
    with untouched(classifier):
        changed = []
        for other in randomized(explainer, order=order, stages=3):  # type: ignore[arg-type]
            now = {name: layer.state_dict() for name, layer in layers_of(other.classifier)}
            changed.append(
                {name for name in now if any(not torch.equal(now[name][k], before[name][k]) for k in now[name])}
            )
            assert other.classifier is not classifier
    assert explainer.classifier is classifier
    assert changed == (stages if order == "independent" else [stages[0], stages[0] | stages[1], set.union(*stages)])


@pytest.mark.parametrize("order", ["top_down", "independent"])
def test_parameter_randomization_equals_the_definition(order: str) -> None:
    _, batch = random_batch(2)
    explainer = EXPLAINERS.create("saliency", tiny_classifier())
    raw, context = explained(explainer, batch)
    metric = METRICS.create("parameter_randomization", order=order, stages=2)
    found = metric.score(prepare(raw, chain="positive"), batch, context=context).tolist()
    for index in range(2):
        similarities = [
            spearmanr(raw[index].flatten(), other.explain(batch.images, batch.targets)[index].flatten()).statistic
            for other in randomized(explainer, order=order, stages=2)  # type: ignore[arg-type]
        ]
        assert len(similarities) == 2
        assert found[index] == pytest.approx(sum(similarities) / 2, abs=1e-5)
        assert found[index] < 0.95


def test_controls_never_ask_the_network_and_score_1() -> None:
    _, batch = random_batch(2)
    for control in ("uniform", "centre_gaussian", "sobel", "oracle", "random"):
        raw, context = explained(EXPLAINERS.create(control, tiny_classifier()), batch)
        found = METRICS.create("parameter_randomization").score(prepare(raw, chain="positive"), batch, context=context)
        assert found.tolist() == [1.0, 1.0], control


def test_a_network_without_layers_cannot_forget() -> None:
    _, batch = random_batch(2)
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    classifier = Classifier(module, task=Task.MULTILABEL, output_names=["a", "b", "c"])
    raw, context = explained(EXPLAINERS.create("saliency", classifier), batch)
    metric = METRICS.create("parameter_randomization")
    statuses = metric.statuses(prepare(raw, chain="positive"), batch, context=context)
    assert statuses == [Status.NOT_APPLICABLE] * 2


def test_settings_of_randomization() -> None:
    with pytest.raises(InputError, match="stages is 0; wanted at least 1"):
        METRICS.create("parameter_randomization", stages=0)
    with pytest.raises(InputError, match="parameter 'order' is 'bottom_up'"):
        METRICS.create("parameter_randomization", order="bottom_up")


@pytest.mark.parametrize("task", [Task.MULTICLASS, Task.REGRESSION])
def test_integrated_gradients_are_complete_and_half_of_them_are_not(task: Task) -> None:
    _, batch = random_batch(3)
    explainer = EXPLAINERS.create("integrated_gradients", tiny_classifier(task=task), steps=200)
    raw, context = explained(explainer, batch)
    metric, prepared = METRICS.create("completeness"), prepare(raw, chain="absolute")
    assert metric.score(prepared, batch, context=context).max() < 0.02
    halved = ScoringContext(classifier=explainer.classifier, explainer=explainer, attribution=raw / 2)
    # |s - d| / (|s| + |d|) with s = d / 2.
    assert metric.score(prepared, batch, context=halved).tolist() == pytest.approx([1 / 3] * 3, abs=0.02)
    opposite = ScoringContext(classifier=explainer.classifier, explainer=explainer, attribution=-raw)
    assert metric.score(prepared, batch, context=opposite).tolist() == [1.0] * 3


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("input_x_gradient", {}),
        ("saliency", {}),
        ("integrated_gradients", {"channel_reduction": "sum_abs"}),
        ("uniform", {}),
    ],
)
def test_completeness_is_asked_of_none_but_who_promises_it(name: str, params: dict[str, str]) -> None:
    _, batch = random_batch(2)
    raw, context = explained(EXPLAINERS.create(name, tiny_classifier(), **params), batch)
    metric, prepared = METRICS.create("completeness"), prepare(raw, chain="positive")
    assert metric.statuses(prepared, batch, context=context) == [Status.NOT_APPLICABLE] * 2
    assert metric.score(prepared, batch, context=context).isnan().all()
    if name == "input_x_gradient":
        asked = METRICS.create("completeness", explainers=["input_x_gradient"])
        assert asked.statuses(prepared, batch, context=context) == [Status.OK] * 2


def test_completeness_needs_a_name_and_the_raw_map() -> None:
    with pytest.raises(InputError, match="explainers is empty; wanted at least one name"):
        METRICS.create("completeness", explainers=[])
    raw, batch = random_batch(2)
    explainer = EXPLAINERS.create("integrated_gradients", tiny_classifier())
    without = ScoringContext(classifier=explainer.classifier, explainer=explainer)
    with pytest.raises(InputError, match=r"pass ScoringContext\(attribution=...\)"):
        METRICS.create("completeness").score(prepare(raw, chain="positive"), batch, context=without)
