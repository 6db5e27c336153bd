"""Extremal and meaningful perturbation: their parts against loops, and what they find."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from xaibench.datasets import DATASETS, InputError
from xaibench.explainers import Classifier, load_classifier
from xaibench.explainers.perturbation import ExtremalPerturbationExplainer, MeaningfulPerturbationExplainer
from xaibench.explainers.perturbation.blur_levels import blur_levels, gaussian_blur, seen_through
from xaibench.explainers.perturbation.extremal import area_violation, smooth_maximum, with_mean
from xaibench.explainers.perturbation.meaningful import total_variation


def test_a_blur_keeps_constants_and_sums():
    images = torch.full((1, 2, 20, 30), 0.3)
    torch.testing.assert_close(gaussian_blur(images, sigma=2.5), images)
    dot = torch.zeros(1, 1, 41, 41)
    dot[0, 0, 20, 20] = 1.0
    blurred = gaussian_blur(dot, sigma=3.0)[0, 0]
    assert float(blurred.sum()) == pytest.approx(1.0, abs=1e-5)
    rows = (torch.arange(41) - 20.0) ** 2
    assert float((blurred.sum(dim=1) * rows).sum().sqrt()) == pytest.approx(3.0, abs=0.1)


def test_a_mask_chooses_levels_of_blur():
    images = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    pyramid = blur_levels(images, strongest=0.1, levels=3)
    assert torch.equal(pyramid[:, 0], images)
    ones = torch.ones(2, 24, 24)
    for mask, wanted in ((1.0, pyramid[:, 0]), (0.5, pyramid[:, 1]), (0.0, pyramid[:, 2])):
        torch.testing.assert_close(seen_through(pyramid, mask * ones), wanted)
    torch.testing.assert_close(seen_through(pyramid, 0.75 * ones), (pyramid[:, 0] + pyramid[:, 1]) / 2)


def test_smooth_maximum_equals_loops():
    seeds = torch.rand(1, 7, 6, generator=torch.Generator().manual_seed(1))
    found = smooth_maximum(seeds, unit=0.8)[0]
    for row in range(7):
        for column in range(6):
            values = []
            for other_row in range(row - 4, row + 5):
                for other_column in range(column - 4, column + 5):
                    inside = 0 <= other_row < 7 and 0 <= other_column < 6
                    seed = float(seeds[0, other_row, other_column]) if inside else 0.0
                    distance = ((row - other_row) ** 2 + (column - other_column) ** 2) ** 0.5 / 0.8
                    values.append(seed * torch.tensor(-(max(distance - 1, 0.0) ** 2) / 4).exp())
            grown = torch.stack(values)
            weights = (grown * 20).exp()
            torch.testing.assert_close(
                found[row, column], (weights * grown).sum() / weights.sum(), atol=1e-5, rtol=1e-4
            )


@settings(max_examples=30, deadline=None)
@given(st.floats(0.02, 0.9), st.integers(0, 99))
def test_the_area_term_vanishes_for_binary_masks_of_that_area_alone(area, seed):
    generator = torch.Generator().manual_seed(seed)
    n_ones = max(1, round(area * 100))
    binary = torch.zeros(100)
    binary[torch.randperm(100, generator=generator)[:n_ones]] = 1.0
    areas = torch.tensor([n_ones / 100])
    assert float(area_violation(binary.reshape(1, 10, 10), areas)) == pytest.approx(0.0, abs=1e-6)
    other = torch.tensor([(n_ones + 5) / 100])
    assert float(area_violation(binary.reshape(1, 10, 10), other)) == pytest.approx(0.05, abs=1e-4)
    soft = torch.rand(1, 10, 10, generator=generator)
    assert float(area_violation(soft, areas)) > 0.01


def test_equal_values_are_ranked_by_their_place_on_every_device():
    # Whichever order a sort finds, it decides which of the equals the area term lifts.
    masks = torch.full((1, 16, 16), 0.5, requires_grad=True)
    area_violation(masks, torch.tensor([0.25])).sum().backward()
    assert (masks.grad.flatten()[:64] < 0).all()
    assert (masks.grad.flatten()[64:] > 0).all()


@settings(max_examples=30, deadline=None)
@given(st.floats(0.03, 0.8), st.integers(0, 99))
def test_a_power_brings_the_mean_to_the_area_and_keeps_the_ranks(area, seed):
    masks = torch.rand(1, 12, 12, generator=torch.Generator().manual_seed(seed))
    found = with_mean(masks, torch.tensor([area]))
    assert float(found.mean()) == pytest.approx(area, abs=1e-3)
    assert (found.flatten()[masks.flatten().argsort()].diff() >= 0).all()


class Corner(nn.Module):
    """The contrast of stripes in one corner; and in the opposite one."""

    def forward(self, images: Tensor) -> Tensor:
        edges = images[:, :, :, 1:].sub(images[:, :, :, :-1]).abs().mean(dim=1)
        return torch.stack([edges[:, :10, :10].mean(dim=(1, 2)), edges[:, -10:, -10:].mean(dim=(1, 2))], dim=1)


@pytest.fixture
def corners() -> Classifier:
    return Classifier(Corner(), task="regression", output_names=["first", "last"], image_size=32)


@pytest.fixture
def striped() -> tuple[Tensor, Tensor]:
    image = (torch.arange(32) % 2).float().expand(3, 32, 32)
    return torch.stack([image, image]), torch.tensor([0, 1])


@pytest.mark.parametrize("variant", ["preserve", "delete", "contrastive"])
def test_extremal_masks_find_the_corner_at_the_area_asked_for(corners, striped, variant):
    explainer = ExtremalPerturbationExplainer(corners, areas=(0.1, 0.25), variant=variant, steps=60, smoothing=0)
    masks = explainer.masks(*striped)
    assert masks.shape == (2, 2, 32, 32)
    for index, area in enumerate((0.1, 0.25)):
        assert (masks[:, index].mean(dim=(1, 2)) - area).abs().max() < 0.02 * area
    maps = explainer.explain(*striped)
    torch.testing.assert_close(maps, masks.mean(dim=1))
    smooth = ExtremalPerturbationExplainer(corners, areas=(0.1, 0.25), variant=variant, steps=60, smoothing=0.1)
    wanted = gaussian_blur(maps[:, None], sigma=3.2)[:, 0]
    torch.testing.assert_close(smooth.explain(*striped), wanted, atol=1e-4, rtol=1e-3)
    for found, corner in zip(maps, (slice(0, 12), slice(20, 32)), strict=True):
        # By chance 0.14. Deletion can take a score away in more places than one.
        assert float(found[corner, corner].sum() / found.sum()) > (0.3 if variant == "delete" else 0.6)


def test_meaningful_perturbation_finds_the_corner(corners, striped):
    maps = MeaningfulPerturbationExplainer(corners, steps=60).explain(*striped)
    for found, corner in zip(maps, (slice(0, 12), slice(20, 32)), strict=True):
        assert float(found[corner, corner].sum() / found.sum()) > 0.6
        assert float(found[15:17, 15:17].max()) < 0.2


def test_total_variation_is_a_mean_of_powers():
    masks = torch.zeros(1, 3, 3)
    masks[0, 1, 1] = 0.5
    assert float(total_variation(masks, power=3)) == pytest.approx(4 * 0.125 / 6)


@pytest.mark.parametrize("images_per_pass", [1, 3])
def test_masks_do_not_depend_on_the_images_per_pass(corners, striped, images_per_pass):
    for explainer in (ExtremalPerturbationExplainer, MeaningfulPerturbationExplainer):
        wanted = explainer(corners, steps=5).explain(*striped)
        found = explainer(corners, steps=5, images_per_pass=images_per_pass).explain(*striped)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(("variant", "most"), [("contrastive", [3, 3]), ("preserve", [6])])
def test_the_images_per_pass_are_images_not_masks(corners, striped, monkeypatch, variant, most):
    # Two images of a contrastive mask are in memory at once.
    sizes = []
    optimized = ExtremalPerturbationExplainer._optimized

    def counted(self, images, targets, areas):
        sizes.append(len(images))
        return optimized(self, images, targets, areas)

    monkeypatch.setattr(ExtremalPerturbationExplainer, "_optimized", counted)
    explainer = ExtremalPerturbationExplainer(
        corners, steps=1, variant=variant, areas=(0.1, 0.2, 0.3), images_per_pass=6
    )
    images, targets = striped
    explainer.explain(images[:2], targets[:2])
    assert sizes == most


@pytest.mark.parametrize(
    ("explainer", "params"),
    [
        (ExtremalPerturbationExplainer, {"areas": ()}),
        (ExtremalPerturbationExplainer, {"areas": (0.1, 1.0)}),
        (ExtremalPerturbationExplainer, {"steps": 0}),
        (ExtremalPerturbationExplainer, {"cells": 0}),
        (ExtremalPerturbationExplainer, {"learning_rate": 0.0}),
        (ExtremalPerturbationExplainer, {"smoothing": -0.1}),
        (ExtremalPerturbationExplainer, {"area_weights": (3.0, 1.0)}),
        (MeaningfulPerturbationExplainer, {"steps": 0}),
        (MeaningfulPerturbationExplainer, {"area_weight": -1.0}),
        (MeaningfulPerturbationExplainer, {"learning_rate": 0.0}),
    ],
)
def test_unusable_parameters_are_refused(corners, explainer, params):
    with pytest.raises(InputError, match=rf"{next(iter(params))} is .*; wanted"):
        explainer(corners, **params)


@pytest.mark.slow  # 20,000 passes through the classifier, a minute on a core of one's own
def test_extremal_perturbation_points_at_lesions():
    classifier, _ = load_classifier("builtin:lesions_multilabel")
    dataset = DATASETS.create("synthetic_lesions", task="multilabel", n_images=40, split="test")
    cases = [
        (sample.image, target, sample.gt_masks[target])
        for sample in (dataset[index] for index in range(len(dataset)))
        for target in sample.outputs.nonzero().flatten().tolist()
    ][:40]
    images, gt_masks = torch.stack([case[0] for case in cases]), torch.stack([case[2] for case in cases])
    maps = ExtremalPerturbationExplainer(classifier).explain(images, torch.tensor([case[1] for case in cases]))
    peaks = maps.flatten(1).argmax(dim=1, keepdim=True)
    # Chance is the area of the lesions, 0.08: 3 of 40.
    assert int(gt_masks.flatten(1).gather(1, peaks).sum()) >= 36
