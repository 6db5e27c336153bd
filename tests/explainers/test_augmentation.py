"""How training images are varied."""

from typing import get_args

import pytest
import torch

from xaibench.explainers.augmentation import AugmentName, augmented, partly_removed

KINDS: tuple[AugmentName, ...] = get_args(AugmentName)
MEAN = torch.full((1, 3, 1, 1), 0.5)


def images(n: int = 4, side: int = 24) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("kind", "n_variants"), [("none", 1), ("mirror", 2), ("flips", 8)])
def test_variants_of_what_has_no_upright(kind, n_variants):
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    generator = torch.Generator().manual_seed(0)
    found = {tuple(augmented(image, kind, generator=generator).flatten().tolist()) for _ in range(200)}
    assert len(found) == n_variants


@pytest.mark.parametrize("kind", KINDS)
def test_range_and_shape_stay_and_the_generator_decides(kind):
    one, same = (augmented(images(), kind, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, same)
    assert one.shape == (4, 3, 24, 24)
    assert float(one.min()) >= 0
    assert float(one.max()) <= 1


@pytest.mark.parametrize("kind", ["photo", "camera", "dermoscope"])
def test_photographs_of_a_batch_are_varied_one_by_one(kind):
    same = images(1).expand(6, -1, -1, -1)
    varied = augmented(same, kind, generator=torch.Generator().manual_seed(0))
    assert len({tuple(row.flatten()[:20].tolist()) for row in varied}) == 6


@pytest.mark.parametrize("kind", ["photo", "camera"])
def test_what_is_constant_stays_constant(kind):
    varied = augmented(torch.full((3, 3, 16, 16), 0.4), kind, generator=torch.Generator().manual_seed(1))
    assert float(varied.std(dim=(2, 3)).max()) < 1e-5
    assert 0.2 < float(varied.mean()) < 0.65


def test_cameras_differ_more_than_photographs():
    plain = torch.full((300, 3, 8, 8), 0.4)

    def spread(kind: AugmentName) -> float:
        return float(augmented(plain, kind, generator=torch.Generator().manual_seed(2)).mean(dim=(1, 2, 3)).std())

    assert spread("camera") > 1.5 * spread("photo")


def test_half_of_a_dermoscope_s_images_are_dark_around_a_bright_centre():
    plain, generator = torch.full((400, 3, 30, 40), 0.5), torch.Generator()
    without = augmented(plain, "camera", generator=generator.manual_seed(3))
    light = augmented(plain, "dermoscope", generator=generator.manual_seed(3)) / without
    assert float(light.max()) <= 1 + 1e-6
    corners = light[:, :, :: light.shape[2] - 1, :: light.shape[3] - 1]
    is_dark = (corners < 0.999).flatten(1).all(dim=1)
    assert int(is_dark.sum()) == pytest.approx(200, abs=40)
    assert torch.equal(light[~is_dark], torch.ones_like(light[~is_dark]))
    seen, centres = corners[is_dark], light[is_dark][:, :, 14:16, 19:21]
    assert float(centres.mean()) > 0.98
    assert float(seen.mean()) < 0.4
    # A hole and not a frame: as far from the middle along the long side as along the short one.
    along, across = light[is_dark][:, 0, 15, 5], light[is_dark][:, 0, 0, 20]
    assert float(along.mean()) == pytest.approx(float(across.mean()), abs=0.05)


def test_parts_are_removed_from_a_share_of_the_images():
    torch.manual_seed(0)
    before = images(400, side=12)
    after = partly_removed(before, share=0.25, mean_color=MEAN)
    changed = (after != before).any(dim=1).flatten(1).float().mean(dim=1)
    touched = changed > 0
    assert int(touched.sum()) == pytest.approx(100, abs=30)
    assert float(changed[touched].min()) > 0.05
    assert float(changed[touched].max()) < 0.75
    assert float(changed[touched].mean()) == pytest.approx(0.4, abs=0.1)
    assert torch.equal(before, images(400, side=12))


def test_without_a_share_nothing_is_drawn():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    assert partly_removed(images(), share=0.0, mean_color=MEAN) is not None
    assert torch.equal(torch.get_rng_state(), state)
