"""The smoothing operator."""

from typing import get_args

import pytest
import torch
from scipy.ndimage import gaussian_filter, uniform_filter
from torch.nn.functional import interpolate

from xaibench.datasets import InputError
from xaibench.explainers import NemtExplainer
from xaibench.explainers.nem.smoothing import Smoothing, SmoothingName


def smoothed_by(smooth: Smoothing, maps: torch.Tensor) -> torch.Tensor:
    return smooth(maps, size=maps.shape[-2:])


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.5, 20.0])
def test_constant_masks_stay_as_they_are(sigma):
    masks = torch.full((2, 12, 17), 0.3)
    torch.testing.assert_close(smoothed_by(Smoothing("gaussian", sigma=sigma), masks), masks)


def test_mass_away_from_the_borders_is_kept():
    masks = torch.zeros(1, 31, 31)
    masks[0, 14:18, 13:16] = 1
    smoothed = smoothed_by(Smoothing("gaussian", sigma=2.0), masks)
    torch.testing.assert_close(smoothed.sum(), masks.sum())
    assert float(smoothed.max()) < 1
    assert float(smoothed.min()) >= 0


def test_it_is_the_gaussian_of_scipy():
    masks = torch.rand(3, 20, 26, dtype=torch.float64).float()
    found = smoothed_by(Smoothing("gaussian", sigma=1.5), masks)
    for mask, smoothed in zip(masks, found, strict=True):
        wanted = gaussian_filter(mask.numpy(), sigma=1.5, radius=4, mode="nearest")
        torch.testing.assert_close(smoothed, torch.from_numpy(wanted), atol=1e-5, rtol=1e-4)


def test_maps_of_a_batch_do_not_mix_and_nothing_is_random():
    masks = torch.rand(4, 16, 16)
    smooth = Smoothing("gaussian", sigma=1.0)
    one_by_one = torch.cat([smoothed_by(smooth, masks[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(smoothed_by(smooth, masks), one_by_one)
    assert torch.equal(smoothed_by(smooth, masks), smoothed_by(Smoothing("gaussian", sigma=1.0), masks))


def test_masks_stay_in_range_and_the_kernel_is_no_weight():
    smooth = Smoothing("gaussian", sigma=3.0)
    smoothed = smoothed_by(smooth, (torch.rand(2, 9, 9) > 0.5).float())
    assert float(smoothed.min()) >= 0
    assert float(smoothed.max()) <= 1 + 1e-6
    assert list(smooth.parameters()) == []
    assert smooth.state_dict() == {}


@pytest.mark.parametrize("sigma", [0.0, -1.0])
def test_a_gaussian_without_width_is_refused(sigma):
    with pytest.raises(InputError, match=f"standard deviation is {sigma} pixels; wanted more than 0"):
        Smoothing("gaussian", sigma=sigma)


KINDS: tuple[SmoothingName, ...] = get_args(SmoothingName)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_training", [True, False])
def test_every_kind_keeps_constant_maps_and_shapes(kind, is_training):
    smooth = Smoothing(kind, sigma=1.0).train(is_training)
    maps = torch.full((2, 9, 14), 0.25)
    torch.testing.assert_close(smoothed_by(smooth, maps), maps)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_deterministic_at_use(kind):
    smooth, maps = Smoothing(kind, sigma=1.0).eval(), torch.rand(2, 12, 12)
    assert torch.equal(smoothed_by(smooth, maps), smoothed_by(smooth, maps))


def test_none_changes_nothing():
    maps = torch.rand(2, 5, 5)
    assert torch.equal(smoothed_by(Smoothing("none", sigma=3.0), maps), maps)


def test_box_is_the_mean_of_scipy_and_what_random_is_at_use():
    maps = torch.rand(1, 20, 20)
    wanted = torch.from_numpy(uniform_filter(maps[0].numpy(), size=7, mode="nearest"))[None]
    for kind in ("box", "random"):
        torch.testing.assert_close(smoothed_by(Smoothing(kind, sigma=1.0).eval(), maps), wanted, atol=1e-5, rtol=1e-4)


def test_random_draws_anew_in_training_and_its_mean_is_the_box():
    smooth, maps = Smoothing("random", sigma=0.5).train(), torch.rand(1, 8, 8)
    smooth.generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([smoothed_by(smooth, maps) for _ in range(400)])
    assert not torch.equal(drawn[0], drawn[1])
    torch.testing.assert_close(drawn.mean(dim=0), smoothed_by(smooth.eval(), maps), atol=0.02, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_training", [True, False])
def test_maps_are_enlarged_after_they_are_smoothed(kind, is_training):
    smooth, maps = Smoothing(kind, sigma=1.0).train(is_training), torch.rand(2, 9, 14)
    smooth.generator = torch.Generator().manual_seed(0)
    plain = smoothed_by(smooth, maps)
    wanted = interpolate(plain[:, None], size=(31, 40), mode="bilinear", align_corners=False)[:, 0]
    smooth.generator = torch.Generator().manual_seed(0)
    torch.testing.assert_close(smooth(maps, size=(31, 40)), wanted)
    smooth.generator = torch.Generator().manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(smooth(maps, size=(31, 40)), wanted)


def test_an_unknown_operator_is_refused(make_classifier):
    for make in (Smoothing, lambda name, *, sigma: NemtExplainer(make_classifier(), smoothing=name)):
        with pytest.raises(InputError, match="smoothing: unknown 'gausian'; did you mean 'gaussian'"):
            make("gausian", sigma=1.0)
