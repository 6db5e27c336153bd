"""Controls: what a score is worth."""

import pytest
import torch

from xaibench.datasets import InputError
from xaibench.explainers import CONTROLS, EXPLAINERS
from xaibench.explainers.controls import (
    CentreGaussianControl,
    OracleControl,
    RandomControl,
    SobelControl,
    UniformControl,
)


def test_controls_are_in_the_catalog():
    assert [name for name in EXPLAINERS if EXPLAINERS.get(name).is_control] == sorted(CONTROLS)
    assert set(CONTROLS) == {"random", "uniform", "centre_gaussian", "sobel", "oracle"}


def test_random_is_uniform_noise_that_depends_on_image_target_and_seed(classifier, make_batch):
    batch = make_batch(size=(64, 64), n=4)
    maps = batch.explained_by(RandomControl(classifier))
    assert maps.min() >= 0
    assert maps.max() < 1
    # 16,384 uniform values: the mean has a standard deviation of 0.0023.
    assert abs(float(maps.mean()) - 0.5) < 0.01
    assert abs(float(maps.var()) - 1 / 12) < 0.005
    image = batch.images[:1].expand(3, -1, -1, -1)
    by_target = RandomControl(classifier).explain(image, torch.tensor([0, 1, 0]))
    assert not torch.equal(by_target[0], by_target[1])
    assert torch.equal(by_target[0], by_target[2])


def test_uniform_says_nothing(classifier, make_batch):
    assert (make_batch(n=2).explained_by(UniformControl(classifier)) == 1).all()


def test_centre_gaussian_peaks_in_the_centre_and_has_its_width(classifier, make_batch):
    maps = make_batch(size=(65, 33), n=2).explained_by(CentreGaussianControl(classifier, sigma=0.5))
    assert maps[0].flatten().argmax() == 32 * 33 + 16
    assert float(maps[0, 32, 16]) == 1
    # One standard deviation, half of the half side, below and beside the centre.
    torch.testing.assert_close(maps[0, 48, 16], torch.tensor(-0.5).exp())
    torch.testing.assert_close(maps[0, 32, 24], torch.tensor(-0.5).exp())
    torch.testing.assert_close(maps[0], maps[0].flip(0))
    torch.testing.assert_close(maps[0], maps[0].flip(1))
    assert torch.equal(maps[0], maps[1])
    with pytest.raises(InputError, match="sigma is 0"):
        CentreGaussianControl(classifier, sigma=0)


def test_sobel_is_the_gradient_of_brightness(classifier):
    ramp = torch.linspace(0, 1, 32).expand(1, 3, 32, 32)
    target = torch.zeros(1, dtype=torch.int64)
    for images in (ramp, ramp.transpose(-1, -2)):
        inner = SobelControl(classifier).explain(images.contiguous(), target)[0, 1:-1, 1:-1]
        # The kernel weighs 1 + 2 + 1 rows, over two columns.
        torch.testing.assert_close(inner, torch.full_like(inner, 8 / 31))
    flat = SobelControl(classifier).explain(torch.full((1, 3, 32, 32), 0.7), target)
    assert float(flat.abs().max()) < 1e-6


def test_oracle_is_the_annotated_region(classifier, make_batch):
    batch = make_batch(n=2)
    maps = batch.explained_by(OracleControl(classifier))
    assert torch.equal(maps, batch.gt_masks.float())
    with pytest.raises(InputError, match="needs gt_masks"):
        OracleControl(classifier).explain(batch.images, batch.targets)
