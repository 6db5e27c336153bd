"""Numbers: Quantus' public call, identities that hold for any implementation, and definitions written as loops."""

import itertools
import math
import warnings

import numpy as np
import pytest
import quantus
import torch
from torch import Tensor

from xaibench.benchmark.metrics import METRICS
from xaibench.benchmark.prepare import prepare
from xaibench.benchmark.rows import Status
from xaibench.datasets import Case, CaseBatch, InputError, Sample

QUANTUS = {
    "relevance_mass_accuracy": quantus.RelevanceMassAccuracy,
    "relevance_rank_accuracy": quantus.RelevanceRankAccuracy,
    "complexity": quantus.Complexity,
    "sparseness": quantus.Sparseness,
    "attribution_localization": quantus.AttributionLocalisation,
    "pointing_game": quantus.PointingGame,
    "top_k_intersection": quantus.TopKIntersection,
    "localization_auc": quantus.AUC,
    "effective_complexity": quantus.EffectiveComplexity,
}
# Settings that make Quantus and us ask the same of a map of 32 px.
QUANTUS_PARAMS = {"top_k_intersection": {"k": 20}, "effective_complexity": {"eps": 0.3}}
OUR_PARAMS = {"top_k_intersection": {"fraction": 20 / 1024}, "effective_complexity": {"threshold": 0.3}}
CORE = ("relevance_mass_accuracy", "relevance_rank_accuracy", "complexity", "sparseness")
# What Quantus adds to every pixel before it computes the Gini index.
GINI_EPSILON = 1e-7


def cases_with(gt_masks: Tensor) -> CaseBatch:
    """Grey images with these masks, bool (B, H, W)."""
    image = torch.full((3, *gt_masks.shape[1:]), 0.5)
    samples = [
        Sample(sample_id=f"case-{index}", image=image, outputs=torch.ones(1), gt_masks=mask[None])
        for index, mask in enumerate(gt_masks)
    ]
    return CaseBatch.of([Case(sample=sample, target=0) for sample in samples])


def score(name: str, raw: Tensor, gt_masks: Tensor) -> list[float]:
    metric = METRICS.create(name, **OUR_PARAMS.get(name, {}))
    scores: list[float] = metric.score(prepare(raw, chain="positive"), cases_with(gt_masks)).tolist()
    return scores


def quantus_score(name: str, raw: Tensor, gt_masks: Tensor) -> np.ndarray:
    """Score prepared maps as a user of Quantus would: through the documented call, with a model."""
    maps = prepare(raw, chain="positive").maps.numpy().copy()
    count, height, width = maps.shape
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * height * width, 2)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = QUANTUS[name](abs=True, normalise=False, disable_warnings=True, **QUANTUS_PARAMS.get(name, {}))
        return np.array(
            metric(
                model=model,
                x_batch=np.full((count, 3, height, width), 0.5, dtype=np.float32),
                y_batch=np.zeros(count, dtype=np.int64),
                a_batch=maps,
                s_batch=gt_masks[:, None].numpy().copy(),
                channel_first=True,
            )
        )


def ordinary_maps(kind: str, *, count: int = 5, side: int = 32) -> tuple[Tensor, Tensor]:
    """Maps without ties among the most relevant pixels, and a box or a disc per map."""
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(count, side, side, generator=generator)
    raw = {
        "uniformly distributed": torch.rand(count, side, side, generator=generator),
        "normal": noise,
        "heavy-tailed": (2 * noise).exp(),
        "smooth": torch.nn.functional.avg_pool2d(noise, 7, stride=1, padding=3),
    }[kind]
    row = torch.arange(side)
    disc = (row[:, None] - 14) ** 2 + (row - 12) ** 2 < 49
    box = (row[:, None] > 20) & (row > 3) & (row < 15)
    return raw, torch.stack([disc if index % 2 else box for index in range(count)])


@pytest.mark.parametrize("kind", ["uniformly distributed", "normal", "heavy-tailed", "smooth"])
@pytest.mark.parametrize("name", list(QUANTUS))
def test_scores_equal_the_public_call_of_quantus(name: str, kind: str) -> None:
    raw, gt_masks = ordinary_maps(kind)
    if name == "pointing_game":
        gt_masks[::2] = ~gt_masks[::2]  # small and large regions, misses and hits
    ours = np.array(score(name, raw, gt_masks))
    if name == "effective_complexity":
        ours *= 32 * 32  # Quantus counts pixels, we report their share
    np.testing.assert_allclose(ours, quantus_score(name, raw, gt_masks), rtol=1e-6, atol=0)
    assert len(set(ours)) > 1, "maps that all score the same show nothing"


def test_rank_accuracy_equals_quantus_bit_for_bit_where_ties_lie_off_the_cut() -> None:
    # Half of the map is exactly 0, and the region is small enough for the cut to lie among positive values.
    raw, gt_masks = ordinary_maps("normal")
    assert (prepare(raw, chain="positive").maps == 0).float().mean() > 0.4
    name = "relevance_rank_accuracy"
    assert score(name, raw, gt_masks) == quantus_score(name, raw, gt_masks).tolist()


def test_mass_accuracy_is_the_attribution_localisation_of_quantus() -> None:
    raw, gt_masks = ordinary_maps("normal")
    mass = score("relevance_mass_accuracy", raw, gt_masks)
    np.testing.assert_allclose(mass, quantus_score("attribution_localization", raw, gt_masks), rtol=1e-6)
    np.testing.assert_allclose(mass, score("attribution_localization", raw, gt_masks), rtol=1e-6)


@pytest.mark.parametrize("side", [7, 32, 224])
def test_uniform_map(side: int) -> None:
    raw, gt_masks = torch.full((1, side, side), 0.3), torch.zeros(1, side, side, dtype=torch.bool)
    gt_masks[:, 1:5, 2:5] = True
    area = 12 / side**2
    assert score("relevance_mass_accuracy", raw, gt_masks) == pytest.approx([area], rel=1e-6)
    assert score("relevance_rank_accuracy", raw, gt_masks) == pytest.approx([area], rel=1e-12)
    assert score("sparseness", raw, gt_masks) == pytest.approx([0.0], abs=1e-9)
    assert score("complexity", raw, gt_masks) == pytest.approx([math.log(side**2)], rel=1e-6)
    for name in CORE:
        chance = METRICS.create(name).chance(cases_with(gt_masks)).tolist()
        assert score(name, raw, gt_masks) == pytest.approx(chance, rel=1e-6, abs=1e-9)


def test_complexity_of_the_uniform_map_at_224_pixels() -> None:
    gt_masks = torch.ones(1, 224, 224, dtype=torch.bool)
    assert score("complexity", torch.ones(1, 224, 224), gt_masks) == pytest.approx([10.823], abs=5e-4)


@pytest.mark.parametrize("side", [7, 32, 224])
def test_one_pixel_map(side: int) -> None:
    raw, gt_masks = torch.zeros(1, side, side), torch.zeros(1, side, side, dtype=torch.bool)
    raw[0, 3, 3] = 5.0
    gt_masks[0, 3, 3] = True
    assert score("complexity", raw, gt_masks) == pytest.approx([0.0], abs=1e-9)
    assert math.copysign(1, score("complexity", raw, gt_masks)[0]) == 1, "-0.0 would show in tables"
    one_pixel = (1 - 1 / side**2) / (1 + GINI_EPSILON * side**2)
    assert score("sparseness", raw, gt_masks) == pytest.approx([one_pixel], rel=1e-6)
    assert score("relevance_mass_accuracy", raw, gt_masks) == [1.0]
    assert score("relevance_rank_accuracy", raw, gt_masks) == [1.0]


def test_map_inside_and_outside_of_the_region() -> None:
    raw, gt_masks = ordinary_maps("uniformly distributed")
    inside, outside = raw * gt_masks, raw * ~gt_masks
    assert score("relevance_mass_accuracy", inside, gt_masks) == [1.0] * 5
    assert score("relevance_rank_accuracy", inside, gt_masks) == [1.0] * 5
    assert score("relevance_mass_accuracy", outside, gt_masks) == [0.0] * 5
    assert score("relevance_rank_accuracy", outside, gt_masks) == [0.0] * 5


def test_map_with_half_of_its_mass_inside() -> None:
    raw, gt_masks = ordinary_maps("uniformly distributed")
    inside, outside = raw * gt_masks, raw * ~gt_masks
    half = inside / inside.sum((1, 2), keepdim=True) + outside / outside.sum((1, 2), keepdim=True)
    assert score("relevance_mass_accuracy", half, gt_masks) == pytest.approx([0.5] * 5, rel=1e-6)


def mass_by_definition(values: list[float], mask: list[bool]) -> float:
    inside = 0.0
    for value, is_inside in zip(values, mask, strict=True):
        if is_inside:
            inside += value
    return inside / sum(values)


def rank_by_definition(values: list[float], mask: list[bool]) -> float:
    order = sorted(range(len(values)), key=lambda index: -values[index])
    hits = 0
    for index in order[: sum(mask)]:
        if mask[index]:
            hits += 1
    return hits / sum(mask)


def entropy_by_definition(values: list[float], mask: list[bool]) -> float:
    entropy = 0.0
    for value in values:
        if value > 0:
            entropy -= value / sum(values) * math.log(value / sum(values))
    return entropy


def gini_by_definition(values: list[float], mask: list[bool]) -> float:
    difference = 0.0
    for first in values:
        for second in values:
            difference += abs(first - second)
    return difference / (2 * len(values) * sum(values))


def pointing_by_definition(values: list[float], mask: list[bool]) -> float:
    best = 0
    for index, value in enumerate(values):
        if value > values[best]:
            best = index
    return float(mask[best])


def top_by_definition(values: list[float], mask: list[bool]) -> float:
    order = sorted(range(len(values)), key=lambda index: -values[index])
    k = round(20 / 1024 * len(values))
    return sum(mask[index] for index in order[:k]) / k


def auc_by_definition(values: list[float], mask: list[bool]) -> float:
    """Share of pairs (a pixel inside, a pixel outside) that are in the right order; ties count half."""
    won, pairs = 0.0, 0
    for first, is_inside in zip(values, mask, strict=True):
        for second, is_inside_too in zip(values, mask, strict=True):
            if is_inside and not is_inside_too:
                pairs += 1
                won += 1.0 if first > second else 0.5 if first == second else 0.0
    return won / pairs


def share_by_definition(values: list[float], mask: list[bool]) -> float:
    return sum(value / max(values) > 0.3 for value in values) / len(values)


DEFINITIONS = {
    "attribution_localization": mass_by_definition,
    "pointing_game": pointing_by_definition,
    "top_k_intersection": top_by_definition,
    "localization_auc": auc_by_definition,
    "effective_complexity": share_by_definition,
    "relevance_mass_accuracy": mass_by_definition,
    "relevance_rank_accuracy": rank_by_definition,
    "complexity": entropy_by_definition,
    "sparseness": gini_by_definition,
}


@pytest.mark.parametrize("kind", ["uniformly distributed", "normal", "heavy-tailed", "smooth"])
@pytest.mark.parametrize("name", list(DEFINITIONS))
def test_scores_equal_the_definition(name: str, kind: str) -> None:
    raw, gt_masks = ordinary_maps(kind, count=2, side=16)
    gt_masks[:, 0, 0] = True
    maps = raw.clamp(min=0).double()
    expected = [
        DEFINITIONS[name](values.flatten().tolist(), mask.flatten().tolist())
        for values, mask in zip(maps, gt_masks, strict=True)
    ]
    # Quantus' epsilons against a division by zero and a logarithm of zero move heavy-tailed maps most.
    assert score(name, raw, gt_masks) == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("seed", range(20))
def test_tied_pixels_count_as_in_all_their_orders(seed: int) -> None:
    """The expectation, by enumeration of all orders of six pixels with values from 1 to 3."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(1, 4, (6,), generator=generator).float()
    mask = torch.rand(6, generator=generator) < 0.5
    mask[seed % 6] = True
    total = 0.0
    for order in itertools.permutations(range(6)):
        # The definition sorts stably: among tied pixels, the order of the permutation decides.
        total += rank_by_definition([float(values[i]) for i in order], [bool(mask[i]) for i in order])
    expected = total / math.factorial(6)
    assert score("relevance_rank_accuracy", values.view(1, 2, 3), mask.view(1, 2, 3)) == pytest.approx([expected])


def test_half_empty_map_does_not_depend_on_pixel_order() -> None:
    """A region larger than the positive part of the map: the zeros tie, and Quantus sorts them by position."""
    raw, gt_masks = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4, dtype=torch.bool)
    raw[0, 0] = torch.tensor([4.0, 3.0, 2.0, 1.0])
    gt_masks[0, :2] = True
    # 4 of 8 places go to hits; the other 4 to the 12 zeros, of which 4 lie inside.
    expected = [(4 + 4 * 4 / 12) / 8]
    assert score("relevance_rank_accuracy", raw, gt_masks) == pytest.approx(expected)
    assert score("relevance_rank_accuracy", raw.flip(1), gt_masks.flip(1)) == pytest.approx(expected)


def test_region_that_fills_the_image() -> None:
    raw, gt_masks = torch.rand(1, 5, 5), torch.ones(1, 5, 5, dtype=torch.bool)
    for name in ("relevance_mass_accuracy", "relevance_rank_accuracy", "pointing_game", "top_k_intersection"):
        assert score(name, raw, gt_masks) == [1.0]
    assert math.isnan(score("localization_auc", raw, gt_masks)[0]), "there is nothing to tell the region from"
    batch, prepared = cases_with(gt_masks), prepare(raw, chain="positive")
    assert METRICS.create("localization_auc").statuses(prepared, batch) == [Status.NOT_APPLICABLE]
    assert METRICS.create("localization_auc").chance(batch).isnan().all()


def test_pixels_that_share_the_maximum_count_in_expectation() -> None:
    raw, gt_masks = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4, dtype=torch.bool)
    raw[0, 0, :3] = 2.0
    gt_masks[0, 0, 1:] = True
    assert score("pointing_game", raw, gt_masks) == pytest.approx([2 / 3])
    assert quantus_score("pointing_game", raw, gt_masks).tolist() == [1.0], "any of them suffices there"
    uniform, area = torch.ones(1, 4, 4), 3 / 16
    for name in ("pointing_game", "top_k_intersection", "attribution_localization"):
        assert score(name, uniform, gt_masks) == pytest.approx([area])
    assert score("localization_auc", uniform, gt_masks) == [0.5]
    assert score("effective_complexity", uniform, gt_masks) == [1.0]


@pytest.mark.parametrize(
    ("name", "params", "wanted"),
    [
        ("top_k_intersection", {"fraction": 0.0}, "fraction is 0.0; wanted a share"),
        ("top_k_intersection", {"fraction": 1.5}, "fraction is 1.5; wanted a share"),
        ("effective_complexity", {"threshold": 1.0}, "threshold is 1.0; wanted a share"),
        ("effective_complexity", {"threshold": -0.1}, "threshold is -0.1; wanted a share"),
    ],
)
def test_wrong_settings_are_refused(name: str, params: dict[str, float], wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        METRICS.create(name, **params)
