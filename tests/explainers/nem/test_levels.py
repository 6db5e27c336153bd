"""Masks that keep a share of the pixels."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xaibench.datasets import InputError
from xaibench.explainers.nem.levels import draw_levels, level_masks

masks_at = partial(level_masks, softness=0.25)


def maps(seed: int = 0, n: int = 3) -> torch.Tensor:
    return torch.randn(n, 12, 15, generator=torch.Generator().manual_seed(seed))


@given(level=st.floats(0.02, 0.98), seed=st.integers(0, 50))
def test_they_keep_the_given_share(level, seed):
    logits = maps(seed)
    kept = (masks_at(logits, torch.full((3,), level)) > 0.5).float().mean(dim=(1, 2))
    assert kept.tolist() == pytest.approx([level] * 3, abs=1.5 / 180)


@given(shift=st.floats(-50, 50), factor=st.floats(0.01, 100), seed=st.integers(0, 20))
def test_neither_shift_nor_scale_matters(shift, factor, seed):
    logits, levels = maps(seed).double(), torch.tensor([0.1, 0.5, 0.9])
    torch.testing.assert_close(
        masks_at(factor * logits + shift, levels), masks_at(logits, levels), atol=1e-5, rtol=1e-4
    )


def test_they_rank_as_the_logits_do():
    logits = maps()
    masks = masks_at(logits, torch.tensor([0.3, 0.3, 0.3])).double()
    assert torch.equal(masks.flatten(1).argsort(dim=1), logits.flatten(1).argsort(dim=1))


@pytest.mark.parametrize("softness", [0.5, 0.08, 0.01])
def test_softness_decides_how_many_are_neither_kept_nor_removed(softness):
    masks = level_masks(maps(), torch.tensor([0.5, 0.5, 0.5]), softness=softness)
    found = float(((masks > 0.02) & (masks < 0.98)).float().mean())
    # Normally distributed logits within ln(0.98 / 0.02) · softness of the cut, in the middle.
    wanted = math.erf(math.log(49) * softness / math.sqrt(2))
    assert found == pytest.approx(wanted, abs=0.03)


def test_a_constant_map_gives_a_half_and_no_nan():
    masks = masks_at(torch.zeros(2, 4, 4), torch.tensor([0.2, 0.8]))
    assert torch.equal(masks, torch.full((2, 4, 4), 0.5))


def test_the_cut_is_held_fixed():
    logits = maps().requires_grad_()
    masks_at(logits, torch.tensor([0.2, 0.5, 0.8])).sum().backward()
    # A cut that moved with the logits would take back what they gain together.
    assert (logits.grad >= 0).all()
    assert (logits.grad.sum(dim=(1, 2)) > 0).all()


def test_levels_cover_all_shares_alike():
    levels = draw_levels(4000, torch.Generator().manual_seed(0))
    assert float(levels.min()) >= 0.02
    assert float(levels.max()) <= 0.98
    assert float(levels.mean()) == pytest.approx(0.5, abs=0.02)
    assert float((levels < 0.26).float().mean()) == pytest.approx(0.25, abs=0.03)


def test_every_batch_asks_for_all_levels():
    levels = draw_levels(8, torch.Generator().manual_seed(0))
    parts = ((levels - 0.02) / 0.96 * 8).floor().long()
    assert sorted(parts.tolist()) == list(range(8))
    assert parts.tolist() != list(range(8))


def test_one_level_per_image():
    with pytest.raises(InputError, match=r"levels are \(2,\); wanted \(3,\)"):
        masks_at(maps(), torch.tensor([0.1, 0.2]))
