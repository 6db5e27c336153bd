"""The contract of every metric in the catalog: who has a score, and on what it depends."""

import inspect
import math
import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, get_args

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from xaibench.benchmark.metrics import METRICS, Complexity, Metric, MetricError, Need, ScoringContext
from xaibench.benchmark.prepare import prepare
from xaibench.benchmark.rows import Status
from xaibench.datasets import CaseBatch, InputError

from .scored_cases import cases_with, random_batch, tiny_classifier
from .scored_cases import scoring_context as context_with

NAMES = tuple(METRICS)
MASK_NAMES = tuple(name for name in NAMES if "gt_mask" in METRICS.create(name).needs)
AREA_NAMES = (
    "relevance_mass_accuracy",
    "relevance_rank_accuracy",
    "pointing_game",
    "top_k_intersection",
    "attribution_localization",
)
# Who explains where a metric asks: `completeness` applies to few.
EXPLAINER_OF = {"completeness": "integrated_gradients"}
every_metric = pytest.mark.parametrize("name", NAMES)


def context_of(name: str, raw: Tensor, *, smooth: bool = False) -> ScoringContext:
    """The context in which the metric of that name scores raw maps."""
    return context_with(raw, explainer=EXPLAINER_OF.get(name, "saliency"), smooth=smooth)


def test_the_catalog_has_the_four_metrics() -> None:
    assert set(NAMES) >= {"relevance_mass_accuracy", "relevance_rank_accuracy", "complexity", "sparseness"}


@every_metric
def test_metadata_is_complete(name: str) -> None:
    metric = METRICS.create(name)
    assert isinstance(metric, Metric)
    assert metric.name == name
    assert metric.family
    assert isinstance(metric.higher_is_better, bool)
    low, high = metric.bounds
    assert high is None or low < high
    assert "attribution" in metric.needs
    assert metric.needs <= set(get_args(Need))
    assert metric.citation[-4:].isdigit(), "a citation ends with the year"
    library, version = metric.library.split(" ")
    assert library
    assert version[0].isdigit()
    assert inspect.getdoc(type(metric))
    # Parameters are part of what identifies a result, and a run hands metrics to its workers.
    assert pickle.loads(pickle.dumps(metric)).params == metric.params


@every_metric
def test_scores_are_float64_within_bounds_and_in_order_of_cases(name: str) -> None:
    raw, batch = random_batch(6)
    metric = METRICS.create(name)
    scores = metric.score(prepare(raw, chain="positive"), batch, context=context_of(name, raw))
    assert scores.dtype == torch.float64
    assert scores.shape == (6,)
    low, high = metric.bounds
    assert scores.min() >= low
    assert high is None or scores.max() <= high
    reverse = CaseBatch.of(batch.cases[::-1])
    flipped = raw.flip(0)
    found = metric.score(prepare(flipped, chain="positive"), reverse, context=context_of(name, flipped))
    assert torch.equal(found, scores.flip(0))


@every_metric
def test_degenerate_maps_have_no_score(name: str) -> None:
    raw, batch = random_batch(5)
    raw[1] = 0
    raw[3, 2, 2] = torch.nan
    metric, prepared, context = METRICS.create(name), prepare(raw, chain="positive"), context_of(name, raw)
    assert metric.score(prepared, batch, context=context).isnan().tolist() == [False, True, False, True, False]
    ok, bad = Status.OK, Status.DEGENERATE
    assert metric.statuses(prepared, batch, context=context) == [ok, bad, ok, bad, ok]


@pytest.mark.parametrize("name", MASK_NAMES)
def test_cases_without_region_are_not_applicable_whatever_the_map(name: str) -> None:
    raw, batch = random_batch(4)
    batch.gt_masks[1] = False
    batch.gt_masks[2] = False
    raw[2] = 0
    raw[3] = 0
    metric, prepared, context = METRICS.create(name), prepare(raw, chain="positive"), context_of(name, raw)
    assert metric.score(prepared, batch, context=context).isnan().tolist() == [False, True, True, True]
    assert metric.statuses(prepared, batch, context=context) == [
        Status.OK,
        Status.NOT_APPLICABLE,
        Status.NOT_APPLICABLE,
        Status.DEGENERATE,
    ]
    assert metric.chance(batch, context=context).isnan().tolist() == [False, True, True, False]


@pytest.mark.parametrize("name", ["complexity", "sparseness", "effective_complexity"])
def test_metrics_of_the_map_alone_need_no_region(name: str) -> None:
    raw, batch = random_batch(2)
    metric, prepared = METRICS.create(name), prepare(raw, chain="positive")
    expected = metric.score(prepared, batch)
    batch.gt_masks[:] = False
    assert torch.equal(metric.score(prepared, batch), expected)
    assert metric.statuses(prepared, batch) == [Status.OK, Status.OK]


@every_metric
def test_a_batch_in_which_nothing_can_be_scored(name: str) -> None:
    _, batch = random_batch(2)
    empty = torch.zeros(2, 8, 8)
    metric, prepared = METRICS.create(name), prepare(empty, chain="positive")
    assert metric.score(prepared, batch, context=context_of(name, empty)).isnan().all()


@every_metric
@settings(deadline=None, max_examples=10)
@example(count=3, seed=23792, side=10, zeroed=1, exponent=0)  # with a ReLU, one sum is 1e-7 or -1e-7 by batch size
@given(
    count=st.integers(1, 4),
    seed=st.integers(0, 2**31),
    side=st.integers(2, 12),
    zeroed=st.integers(0, 3),
    exponent=st.integers(-30, 30),
)
def test_batch_mates_do_not_matter(name: str, count: int, seed: int, side: int, zeroed: int, exponent: int) -> None:
    raw, batch = random_batch(count, seed=seed, side=side)
    raw[zeroed % count] = 0
    raw[-1] *= 10.0**exponent
    metric = METRICS.create(name)
    together = metric.score(prepare(raw, chain="absolute"), batch, context=context_of(name, raw, smooth=True))
    for index, case in enumerate(batch.cases):
        own = raw[index : index + 1]
        surroundings = context_of(name, own, smooth=True)
        alone = metric.score(prepare(own, chain="absolute"), CaseBatch.of([case]), context=surroundings)
        # Bit for bit, save where maps are asked of an explainer: those may differ in the last digits by batch size.
        tolerance = 1e-4 if "explainer" in metric.needs else 0.0
        torch.testing.assert_close(together[index : index + 1], alone, rtol=0, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "completeness"])  # it asks for the raw scale
@settings(deadline=None, max_examples=10)
@given(scale=st.floats(1e-30, 1e30), seed=st.integers(0, 2**31))
def test_the_scale_of_a_map_does_not_matter(name: str, scale: float, seed: int) -> None:
    raw, batch = random_batch(3, seed=seed)
    metric = METRICS.create(name)
    expected = metric.score(prepare(raw, chain="positive"), batch, context=context_of(name, raw))
    scaled = metric.score(prepare(raw * scale, chain="positive"), batch, context=context_of(name, raw * scale))
    torch.testing.assert_close(scaled, expected, rtol=1e-5, atol=1e-6, equal_nan=True)


@every_metric
def test_scoring_leaves_maps_cases_and_classifier_as_they_are(
    name: str, untouched: Callable[[nn.Module], AbstractContextManager[None]]
) -> None:
    raw, batch = random_batch(3)
    prepared = prepare(raw, chain="positive")
    maps, gt_masks = prepared.maps.clone(), batch.gt_masks.clone()
    metric, context = METRICS.create(name), context_of(name, raw)
    images = batch.images.clone()
    with untouched(context.classifier):
        first = metric.score(prepared, batch, context=context)
        metric.chance(batch, context=context)
    assert torch.equal(prepared.maps, maps)
    assert torch.equal(batch.gt_masks, gt_masks)
    assert torch.equal(batch.images, images)
    # In a new context, in which nothing has been found yet.
    assert torch.equal(metric.score(prepared, batch, context=context_of(name, raw)), first)


@every_metric
def test_maps_of_another_size_are_refused(name: str) -> None:
    _, batch = random_batch(2, side=8)
    prepared = prepare(torch.ones(2, 7, 7), chain="positive")
    for call in (METRICS.create(name).score, METRICS.create(name).statuses):
        with pytest.raises(InputError, match=r"prepared maps are \(2, 7, 7\)"):
            call(prepared, batch)


def test_chance_is_the_area_of_the_region_or_the_uniform_map() -> None:
    gt_masks = torch.zeros(2, 4, 8, dtype=torch.bool)
    gt_masks[0, :2] = True
    gt_masks[1, 0, 0] = True
    batch = cases_with(gt_masks)
    for name in AREA_NAMES:
        assert METRICS.create(name).chance(batch).tolist() == [0.5, 1 / 32]
    assert METRICS.create("complexity").chance(batch).tolist() == [math.log(32)] * 2
    assert METRICS.create("sparseness").chance(batch).tolist() == [0.0, 0.0]
    assert METRICS.create("effective_complexity").chance(batch).tolist() == [1.0, 1.0]
    assert METRICS.create("localization_auc").chance(batch).tolist() == [0.5, 0.5]


@every_metric
def test_chance_is_float64_and_needs_no_explainer(name: str) -> None:
    _, batch = random_batch(3)
    chance = METRICS.create(name).chance(batch, context=ScoringContext(classifier=tiny_classifier()))
    assert chance.dtype == torch.float64
    assert chance.shape == (3,)
    assert chance.device.type == "cpu"


@every_metric
def test_a_metric_says_what_it_needs(name: str) -> None:
    """Nothing but what `needs` names is asked of the context."""
    raw, batch = random_batch(2)
    metric, full = METRICS.create(name), context_of(name, raw)
    given: dict[str, Any] = {"attribution": raw}
    if {"classifier", "explainer"} & metric.needs:
        given["classifier"] = full.classifier
    if "explainer" in metric.needs:
        given["explainer"] = full.explainer
    prepared = prepare(raw, chain="positive")
    found = metric.score(prepared, batch, context=ScoringContext(**given))
    assert torch.equal(found, metric.score(prepared, batch, context=full))
    for need in {"classifier", "explainer"} & metric.needs:
        given.pop(need, None)
    if {"classifier", "explainer"} & metric.needs:
        with pytest.raises(InputError, match=r"pass ScoringContext\("):
            metric.score(prepared, batch, context=ScoringContext(**given))


class Broken(Complexity):
    """A plugin that returns what it should not."""

    def __init__(self, found: Tensor) -> None:
        super().__init__()
        self.found = found

    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        return self.found


@pytest.mark.parametrize("found", [torch.zeros(2), torch.zeros(3, 1), torch.tensor([1.0, torch.nan, 1.0])])
def test_a_plugin_that_breaks_the_contract_is_named(found: Tensor) -> None:
    raw, batch = random_batch(3)
    prepared = prepare(raw, chain="positive")
    with pytest.raises(MetricError, match="Broken returned"):
        Broken(found).score(prepared, batch)
