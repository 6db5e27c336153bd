"""What removed pixels become."""

from typing import get_args

import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate

from xaibench.datasets import InputError
from xaibench.explainers.fills import FillName, blur_fill, filled, image_mean_fill, mean_color_fill, noise_fill

FILLS = get_args(FillName)
MEAN = torch.tensor([0.2, 0.5, 0.8]).reshape(1, 3, 1, 1)


def test_mean_fill_is_mean_colour():
    fill = mean_color_fill(torch.rand(2, 3, 5, 4), MEAN)
    assert fill.shape == (2, 3, 5, 4)
    assert torch.equal(fill[1, 2], torch.full((5, 4), 0.8))


@pytest.mark.parametrize("size", [(32, 32), (33, 50), (224, 224), (16, 9), (3, 3)])
def test_blur_fill_keeps_colour_and_loses_texture(size):
    generator = torch.Generator().manual_seed(0)
    images = 0.3 + 0.4 * torch.rand(2, 3, *size, generator=generator)
    fill = blur_fill(images)
    assert fill.shape == images.shape
    torch.testing.assert_close(fill.mean(dim=(2, 3)), images.mean(dim=(2, 3)), atol=0.1, rtol=0)
    if min(size) >= 32:
        assert fill.std() < 0.3 * images.std()
    constant = torch.full((1, 3, *size), 0.6)
    torch.testing.assert_close(blur_fill(constant), constant)


def test_a_blurred_white_image_is_not_whiter_than_white():
    # At some of these sizes the products round to more than 1; which, is up to the processor.
    for side in range(80, 120):
        white = torch.ones(1, 3, side, side)
        assert float(filled(white, fill="blur", mean_color=MEAN, seeds=[0]).max()) <= 1


@pytest.mark.parametrize("size", [(32, 32), (33, 50), (224, 224), (16, 9)])
def test_blur_fill_is_the_mean_of_half_overlapping_windows_enlarged(size):
    images = torch.rand(2, 3, *size)
    window = max(2, min(size) // 8)
    small = avg_pool2d(images, window, stride=max(1, window // 2), ceil_mode=True)
    wanted = interpolate(small, size=size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(blur_fill(images), wanted)


def test_noise_fill_is_seeded_noise_around_mean_colour():
    images = torch.rand(4, 3, 40, 40)

    def fill(seed: int) -> torch.Tensor:
        return noise_fill(images, MEAN, torch.Generator().manual_seed(seed))

    assert torch.equal(fill(0), fill(0))
    assert not torch.equal(fill(0), fill(1))
    torch.testing.assert_close(fill(0)[:, 1].mean(), torch.tensor(0.5), atol=0.01, rtol=0)
    torch.testing.assert_close(fill(0)[:, 1].std(), torch.tensor(0.1), atol=0.01, rtol=0)
    assert float(fill(0).min()) >= 0
    assert float(fill(0).max()) <= 1


def test_image_mean_fill_is_each_image_s_own_colour():
    images = torch.rand(2, 3, 5, 4)
    fill = image_mean_fill(images)
    assert fill.shape == (2, 3, 5, 4)
    assert float(fill[1, 2, 3, 1]) == pytest.approx(float(images[1, 2].mean()))
    assert fill[0].flatten(1).unique(dim=1).shape == (3, 1)


def test_names_give_the_functions_behind_them():
    images = torch.rand(2, 3, 16, 12)
    by_name = {fill: filled(images, fill=fill, mean_color=MEAN, seeds=[3, 4]) for fill in FILLS}
    assert torch.equal(by_name["mean"], mean_color_fill(images, MEAN))
    assert torch.equal(by_name["image_mean"], image_mean_fill(images))
    assert torch.equal(by_name["blur"], blur_fill(images))
    assert torch.equal(by_name["noise"][1:], noise_fill(images[1:], MEAN, torch.Generator().manual_seed(4)))


@pytest.mark.parametrize("fill", FILLS)
def test_named_fills_do_not_depend_on_batch_mates(fill):
    images = torch.rand(3, 3, 16, 12)
    together = filled(images, fill=fill, mean_color=MEAN, seeds=[7, 8, 9])
    alone = filled(images[1:2], fill=fill, mean_color=MEAN, seeds=[8])
    assert torch.equal(together[1:2], alone)
    assert together.shape == images.shape


def test_an_unknown_fill_and_missing_seeds_are_refused():
    images = torch.rand(2, 3, 8, 8)
    with pytest.raises(InputError, match="unknown fill 'blurr'; did you mean 'blur'"):
        filled(images, fill="blurr", mean_color=MEAN, seeds=[0, 1])
    with pytest.raises(InputError, match="1 seeds for 2 images; wanted one per image"):
        filled(images, fill="noise", mean_color=MEAN, seeds=[0])
