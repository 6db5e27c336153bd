"""The contract of every metric in the catalog: who has a score, and on what it depends."""

import inspect
import math
import pickle
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xaibench.benchmark.metrics import METRICS, Complexity, Metric, MetricError, Need
from xaibench.benchmark.prepare import prepare
from xaibench.benchmark.rows import Status
from xaibench.datasets import Case, CaseBatch, InputError, Sample

NAMES = tuple(METRICS)
MASK_NAMES = ("relevance_mass_accuracy", "relevance_rank_accuracy")
every_metric = pytest.mark.parametrize("name", NAMES)


def cases_with(gt_masks: Tensor) -> CaseBatch:
    """Grey images with these masks, bool (B, H, W); a case with an empty mask has no region."""
    image = torch.full((3, *gt_masks.shape[1:]), 0.5)
    samples = [
        Sample(sample_id=f"case-{index}", image=image, outputs=torch.ones(1), gt_masks=mask[None])
        for index, mask in enumerate(gt_masks)
    ]
    return CaseBatch.of([Case(sample=sample, target=0) for sample in samples])


def random_batch(count: int, *, seed: int = 0, side: int = 8) -> tuple[Tensor, CaseBatch]:
    """Signed maps and masks with at least one pixel."""
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(count, side, side, generator=generator)
    gt_masks = torch.rand(count, side, side, generator=generator) < 0.3
    gt_masks[:, 0, 0] = True
    return raw, cases_with(gt_masks)


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
    scores = metric.score(prepare(raw, chain="positive"), batch)
    assert scores.dtype == torch.float64
    assert scores.shape == (6,)
    low, high = metric.bounds
    assert scores.min() >= low
    assert high is None or scores.max() <= high
    reverse = CaseBatch.of(batch.cases[::-1])
    assert torch.equal(metric.score(prepare(raw.flip(0), chain="positive"), reverse), scores.flip(0))


@every_metric
def test_degenerate_maps_have_no_score(name: str) -> None:
    raw, batch = random_batch(5)
    raw[1] = 0
    raw[3, 2, 2] = torch.nan
    metric, prepared = METRICS.create(name), prepare(raw, chain="positive")
    assert metric.score(prepared, batch).isnan().tolist() == [False, True, False, True, False]
    ok, bad = Status.OK, Status.DEGENERATE
    assert metric.statuses(prepared, batch) == [ok, bad, ok, bad, ok]


@pytest.mark.parametrize("name", MASK_NAMES)
def test_cases_without_region_are_not_applicable_whatever_the_map(name: str) -> None:
    raw, batch = random_batch(4)
    batch.gt_masks[1] = False
    batch.gt_masks[2] = False
    raw[2] = 0
    raw[3] = 0
    metric, prepared = METRICS.create(name), prepare(raw, chain="positive")
    assert metric.score(prepared, batch).isnan().tolist() == [False, True, True, True]
    assert metric.statuses(prepared, batch) == [
        Status.OK,
        Status.NOT_APPLICABLE,
        Status.NOT_APPLICABLE,
        Status.DEGENERATE,
    ]
    assert metric.chance(batch).isnan().tolist() == [False, True, True, False]


@pytest.mark.parametrize("name", ["complexity", "sparseness"])
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
    metric, prepared = METRICS.create(name), prepare(torch.zeros(2, 8, 8), chain="positive")
    assert metric.score(prepared, batch).isnan().all()


@every_metric
@settings(deadline=None, max_examples=20)
@given(
    count=st.integers(1, 6),
    seed=st.integers(0, 2**31),
    side=st.integers(2, 20),
    zeroed=st.integers(0, 5),
    exponent=st.integers(-30, 30),
)
def test_batch_mates_do_not_matter(name: str, count: int, seed: int, side: int, zeroed: int, exponent: int) -> None:
    raw, batch = random_batch(count, seed=seed, side=side)
    raw[zeroed % count] = 0
    raw[-1] *= 10.0**exponent
    metric = METRICS.create(name)
    together = metric.score(prepare(raw, chain="absolute"), batch)
    for index, case in enumerate(batch.cases):
        alone = metric.score(prepare(raw[index : index + 1], chain="absolute"), CaseBatch.of([case]))
        assert torch.equal(together[index : index + 1].nan_to_num(-1), alone.nan_to_num(-1))


@every_metric
@settings(deadline=None, max_examples=20)
@given(scale=st.floats(1e-30, 1e30), seed=st.integers(0, 2**31))
def test_the_scale_of_a_map_does_not_matter(name: str, scale: float, seed: int) -> None:
    raw, batch = random_batch(3, seed=seed)
    metric = METRICS.create(name)
    expected = metric.score(prepare(raw, chain="positive"), batch)
    scaled = metric.score(prepare(raw * scale, chain="positive"), batch)
    torch.testing.assert_close(scaled, expected, rtol=1e-5, atol=1e-6)


@every_metric
def test_scoring_leaves_maps_and_cases_as_they_are(name: str) -> None:
    raw, batch = random_batch(3)
    prepared = prepare(raw, chain="positive")
    maps, gt_masks = prepared.maps.clone(), batch.gt_masks.clone()
    metric = METRICS.create(name)
    first = metric.score(prepared, batch)
    assert torch.equal(prepared.maps, maps)
    assert torch.equal(batch.gt_masks, gt_masks)
    assert torch.equal(metric.score(prepared, batch), first)


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
    for name in MASK_NAMES:
        assert METRICS.create(name).chance(batch).tolist() == [0.5, 1 / 32]
    assert METRICS.create("complexity").chance(batch).tolist() == [math.log(32)] * 2
    assert METRICS.create("sparseness").chance(batch).tolist() == [0.0, 0.0]
    assert all(METRICS.create(name).chance(batch).dtype == torch.float64 for name in NAMES)


class Broken(Complexity):
    """A plugin that returns what it should not."""

    def __init__(self, found: Tensor) -> None:
        super().__init__()
        self.found = found

    def _score(self, maps: Tensor, batch: CaseBatch) -> Tensor:
        return self.found


@pytest.mark.parametrize("found", [torch.zeros(2), torch.zeros(3, 1), torch.tensor([1.0, torch.nan, 1.0])])
def test_a_plugin_that_breaks_the_contract_is_named(found: Tensor) -> None:
    raw, batch = random_batch(3)
    prepared = prepare(raw, chain="positive")
    with pytest.raises(MetricError, match="Broken returned"):
        Broken(found).score(prepared, batch)
