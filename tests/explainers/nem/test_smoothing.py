"""The smoothing operator."""

import pytest
import torch
from scipy.ndimage import gaussian_filter

from xaibench.datasets import InputError
from xaibench.explainers.nem.smoothing import GaussianSmoothing


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.5, 20.0])
def test_constant_masks_stay_as_they_are(sigma):
    masks = torch.full((2, 12, 17), 0.3)
    torch.testing.assert_close(GaussianSmoothing(sigma)(masks), masks)


def test_mass_away_from_the_borders_is_kept():
    masks = torch.zeros(1, 31, 31)
    masks[0, 14:18, 13:16] = 1
    smoothed = GaussianSmoothing(2.0)(masks)
    torch.testing.assert_close(smoothed.sum(), masks.sum())
    assert float(smoothed.max()) < 1
    assert float(smoothed.min()) >= 0


def test_it_is_the_gaussian_of_scipy():
    masks = torch.rand(3, 20, 26, dtype=torch.float64).float()
    found = GaussianSmoothing(1.5)(masks)
    for mask, smoothed in zip(masks, found, strict=True):
        wanted = gaussian_filter(mask.numpy(), sigma=1.5, radius=4, mode="nearest")
        torch.testing.assert_close(smoothed, torch.from_numpy(wanted), atol=1e-5, rtol=1e-4)


def test_maps_of_a_batch_do_not_mix_and_nothing_is_random():
    masks = torch.rand(4, 16, 16)
    smooth = GaussianSmoothing(1.0)
    one_by_one = torch.cat([smooth(masks[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(smooth(masks), one_by_one)
    assert torch.equal(smooth(masks), GaussianSmoothing(1.0)(masks))


def test_masks_stay_in_range_and_the_kernel_is_no_weight():
    smooth = GaussianSmoothing(3.0)
    smoothed = smooth((torch.rand(2, 9, 9) > 0.5).float())
    assert float(smoothed.min()) >= 0
    assert float(smoothed.max()) <= 1 + 1e-6
    assert list(smooth.parameters()) == []
    assert smooth.state_dict() == {}


@pytest.mark.parametrize("sigma", [0.0, -1.0])
def test_a_gaussian_without_width_is_refused(sigma):
    with pytest.raises(InputError, match=f"standard deviation is {sigma} pixels; wanted more than 0"):
        GaussianSmoothing(sigma)
