"""What preparation does to one map, and that it does it to each map by itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xaibench.benchmark.prepare import PreparationChain, prepare
from xaibench.datasets import InputError

CHAINS: tuple[PreparationChain, ...] = ("positive", "absolute")


def random_maps(count: int, *, seed: int = 0, side: int = 9) -> Tensor:
    return torch.randn(count, side, side, generator=torch.Generator().manual_seed(seed))


def test_positive_chain_keeps_what_speaks_for_the_target() -> None:
    prepared = prepare(torch.tensor([[[-4.0, 1.0], [2.0, 0.0]]]), chain="positive")
    assert prepared.maps.tolist() == [[[0.0, 0.5], [1.0, 0.0]]]
    assert prepared.degenerate.tolist() == [False]


def test_absolute_chain_keeps_what_matters_either_way() -> None:
    prepared = prepare(torch.tensor([[[-4.0, 1.0], [2.0, 0.0]]]), chain="absolute")
    assert prepared.maps.tolist() == [[[1.0, 0.25], [0.5, 0.0]]]
    assert prepared.degenerate.tolist() == [False]


def test_maps_without_positive_part_are_degenerate_in_one_chain_only() -> None:
    negative = -torch.ones(1, 3, 3)
    assert prepare(negative, chain="positive").degenerate.tolist() == [True]
    assert prepare(negative, chain="absolute").degenerate.tolist() == [False]


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_maps_that_are_not_finite_are_degenerate_and_zero(chain: PreparationChain, bad: float) -> None:
    raw = random_maps(3)
    raw[1, 4, 4] = bad
    prepared = prepare(raw, chain=chain)
    assert prepared.degenerate.tolist() == [False, True, False]
    assert prepared.maps[1].eq(0).all()
    assert prepared.maps.isfinite().all()
    assert torch.equal(prepared.maps[::2], prepare(raw[::2], chain=chain).maps)


@pytest.mark.parametrize("chain", CHAINS)
def test_zero_maps_are_degenerate_and_zero(chain: PreparationChain) -> None:
    prepared = prepare(torch.zeros(2, 4, 4), chain=chain)
    assert prepared.degenerate.tolist() == [True, True]
    assert prepared.maps.eq(0).all()


@pytest.mark.parametrize("largest", [3e38, 1e-30, 1e-38, 1e-41, 2e-45])
def test_extreme_scales_neither_overflow_nor_vanish(largest: float) -> None:
    raw = torch.full((1, 2, 2), largest)
    raw[0, 0, 0] = 0
    prepared = prepare(raw, chain="positive")
    assert prepared.maps.tolist() == [[[0.0, 1.0], [1.0, 1.0]]]
    assert prepared.degenerate.tolist() == [False]


def test_maps_are_not_cut_to_8_bits() -> None:
    raw = torch.tensor([[[1.0, 0.5 + 1e-6], [0.5, 1e-6]]])
    assert torch.equal(prepare(raw, chain="positive").maps, raw)


def test_the_minimum_is_not_subtracted() -> None:
    raw = torch.tensor([[[1.0, 0.75], [0.75, 0.5]]])
    assert torch.equal(prepare(raw, chain="positive").maps, raw)


@settings(deadline=None, max_examples=30)
@given(
    exponents=st.lists(st.integers(-40, 37), min_size=1, max_size=6),
    chain=st.sampled_from(CHAINS),
    seed=st.integers(0, 2**31),
)
def test_each_map_is_prepared_by_itself(exponents: list[int], chain: PreparationChain, seed: int) -> None:
    raw = random_maps(len(exponents), seed=seed) * torch.tensor([10.0**e for e in exponents])[:, None, None]
    together = prepare(raw, chain=chain)
    for index in range(len(raw)):
        alone = prepare(raw[index : index + 1], chain=chain)
        assert torch.equal(together.maps[index], alone.maps[0])
        assert together.degenerate[index] == alone.degenerate[0]
    assert together.maps.dtype == torch.float32
    assert together.maps.min() >= 0
    assert together.maps.amax(dim=(1, 2)).tolist() == [0.0 if bad else 1.0 for bad in together.degenerate.tolist()]


@pytest.mark.parametrize("chain", CHAINS)
def test_the_raw_attribution_stays_as_it_is(chain: PreparationChain) -> None:
    raw = random_maps(3).requires_grad_()
    before = raw.detach().clone()
    prepared = prepare(raw, chain=chain)
    prepared.maps.zero_()
    assert torch.equal(raw.detach(), before)
    assert not prepared.maps.requires_grad


def test_layout_in_memory_does_not_matter() -> None:
    raw = random_maps(3)
    transposed = prepare(raw.mT, chain="absolute").maps
    assert transposed.is_contiguous()
    assert torch.equal(transposed.mT, prepare(raw, chain="absolute").maps)


@pytest.mark.parametrize(
    "wrong", [torch.zeros(2, 3, 4, 4), torch.zeros(4, 4), torch.zeros(2, 4, 4, dtype=torch.float64)]
)
def test_another_shape_or_dtype_is_refused(wrong: Tensor) -> None:
    with pytest.raises(InputError, match=r"wanted float32 \(B, H, W\)"):
        prepare(wrong, chain="positive")


def test_an_unknown_chain_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'positive'"):
        prepare(torch.ones(1, 2, 2), chain="positiv")  # type: ignore[arg-type]
