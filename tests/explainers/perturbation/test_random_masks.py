"""RISE and RELAX against loops, and what their masks are."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cosine_similarity, interpolate

from xaibench.datasets import InputError
from xaibench.explainers.perturbation import RelaxExplainer, RiseExplainer, UncertainRelaxExplainer
from xaibench.explainers.perturbation.random_masks import RandomMasks


def draw(n: int, size: tuple[int, int], *, grid: int = 5, keep: float = 0.5, seed: int = 0) -> RandomMasks:
    generator = torch.Generator().manual_seed(seed)
    return RandomMasks.draw(n, size, grid=grid, keep_probability=keep, generator=generator)


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 40), st.integers(8, 40), st.integers(1, 8), st.integers(0, 9))
def test_masks_are_soft_and_of_the_size_asked_for(height, width, grid, seed):
    masks = draw(4, (height, width), grid=grid, seed=seed).enlarged(slice(None), device=torch.device("cpu"))
    assert masks.shape == (4, height, width)
    assert masks.min() >= 0
    assert masks.max() <= 1 + 1e-6


def test_pixels_are_shown_as_often_as_asked():
    for keep in (0.2, 0.7):
        masks = draw(4000, (16, 16), keep=keep).enlarged(slice(None), device=torch.device("cpu"))
        # Every pixel mixes at most four cells, so its mean over 4,000 masks misses by about 0.008 at most.
        assert (masks.mean(dim=0) - keep).abs().max() < 0.04


def test_parts_are_parts_of_the_whole():
    masks = draw(10, (20, 24))
    whole = masks.enlarged(slice(None), device=torch.device("cpu"))
    for start in range(0, 10, 3):
        part = slice(start, start + 3)
        assert torch.equal(masks.enlarged(part, device=torch.device("cpu")), whole[part])


def naive_masks(explainer: RiseExplainer | RelaxExplainer, image: Tensor, target: int) -> list[Tensor]:
    drawn = explainer._draw(image, target)
    height, width = image.shape[-2:]
    masks = []
    for cells, (top, left) in zip(drawn.cells, drawn.shifts.tolist(), strict=True):
        grid = len(cells)
        cell_height, cell_width = -(-height // grid), -(-width // grid)
        size = ((grid + 1) * cell_height, (grid + 1) * cell_width)
        large = interpolate(cells[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]
        masks.append(large[top : top + height, left : left + width])
    return masks


def test_rise_equals_a_loop_over_masks(classifier, make_batch):
    batch = make_batch(n=2, size=(30, 26))
    explainer = RiseExplainer(classifier, masks=40, grid=4, keep_probability=0.4, images_per_pass=7)
    maps = explainer.explain(batch.images, batch.targets)
    for image, target, found in zip(batch.images, batch.targets.tolist(), maps, strict=True):
        wanted = torch.zeros(30, 26)
        for mask in naive_masks(explainer, image, target):
            masked = image * mask + 0.5 * (1 - mask)
            with torch.no_grad():
                wanted += classifier.scores(masked[None])[0, target] * mask
        torch.testing.assert_close(found, wanted / (40 * 0.4), atol=1e-5, rtol=1e-5)


def naive_relax(explainer: RelaxExplainer, image: Tensor) -> tuple[Tensor, Tensor]:
    classifier, masks = explainer.classifier, naive_masks(explainer, image, 0)
    with torch.no_grad():
        own = classifier.embedding(image[None])
        similarities = [
            float(cosine_similarity(classifier.embedding((image * mask + 0.5 * (1 - mask))[None]), own)[0])
            for mask in masks
        ]
    shown = sum(masks)
    importance = sum(s * mask for s, mask in zip(similarities, masks, strict=True)) / shown
    uncertainty = sum((s - importance) ** 2 * mask for s, mask in zip(similarities, masks, strict=True)) / shown
    return importance, uncertainty


def test_relax_equals_a_loop_over_masks(classifier, make_batch):
    batch = make_batch(n=2, size=(30, 26))
    explainer = RelaxExplainer(classifier, masks=40, grid=4, images_per_pass=7)
    for image, found in zip(batch.images, explainer.explain(batch.images, batch.targets), strict=True):
        torch.testing.assert_close(found, naive_relax(explainer, image)[0], atol=1e-5, rtol=1e-5)


def test_u_relax_drops_the_uncertain_half(classifier, make_batch):
    batch = make_batch(n=1)
    explainer = UncertainRelaxExplainer(classifier, masks=40, grid=4)
    found = explainer.explain(batch.images, batch.targets)[0]
    importance, uncertainty = naive_relax(explainer, batch.images[0])
    kept = found > 0
    assert int(kept.sum()) == 512
    assert uncertainty[kept].max() <= uncertainty[~kept].min() + 1e-6
    torch.testing.assert_close(found[kept], importance[kept], atol=1e-5, rtol=1e-5)
    everything = UncertainRelaxExplainer(classifier, masks=40, grid=4, certain_share=1.0)
    plain = RelaxExplainer(classifier, masks=40, grid=4).explain(batch.images, batch.targets)
    assert torch.equal(everything.explain(batch.images, batch.targets), plain)


def test_relax_explains_an_encoder_without_outputs(make_batch):
    from torch import nn

    from xaibench.explainers import Classifier

    encoder = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    names = [f"unit{k}" for k in range(6)]
    classifier = Classifier(encoder, task="regression", output_names=names, image_size=32, embedding_layer="")
    batch = make_batch(n=2)
    maps = RelaxExplainer(classifier, masks=20).explain(batch.images, batch.targets)
    assert (maps.amax(dim=(1, 2)) > maps.amin(dim=(1, 2))).all()


@pytest.mark.parametrize("images_per_pass", [1, 5, 1000])
def test_maps_do_not_depend_on_the_images_per_pass(classifier, make_batch, images_per_pass):
    batch = make_batch(n=1)
    wanted = RiseExplainer(classifier, masks=12).explain(batch.images, batch.targets)
    explainer = RiseExplainer(classifier, masks=12, images_per_pass=images_per_pass)
    torch.testing.assert_close(explainer.explain(batch.images, batch.targets), wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("explainer", "params"),
    [
        (RiseExplainer, {"masks": 0}),
        (RiseExplainer, {"grid": 0}),
        (RiseExplainer, {"keep_probability": 1.0}),
        (RiseExplainer, {"images_per_pass": 0}),
        (UncertainRelaxExplainer, {"certain_share": 0.0}),
    ],
)
def test_unusable_parameters_are_refused(classifier, explainer, params):
    with pytest.raises(InputError, match=rf"{next(iter(params))} is .*; wanted"):
        explainer(classifier, **params)
