"""Robustness: definitions as loops over single explanations, shared explanations, and explainers with known answers."""

from typing import Any

import pytest
import torch
from torch import Tensor

from xaibench.benchmark.metrics import METRICS, ScoringContext
from xaibench.benchmark.metrics.answers import scoring_generator
from xaibench.benchmark.prepare import prepare
from xaibench.datasets import InputError
from xaibench.explainers import EXPLAINERS, Explainer

from .scored_cases import random_batch, tiny_classifier

NAMES = ("max_sensitivity", "average_sensitivity", "local_lipschitz")


class BrightnessExplainer(Explainer):
    """The image's own brightness, and how often it was asked."""

    family = "test"
    citation = "none"
    asked = 0

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        self.asked += len(images)
        return images.mean(dim=1)


def test_scores_equal_the_definitions() -> None:
    _, batch = random_batch(2)
    explainer = BrightnessExplainer(tiny_classifier())
    raw = explainer.explain(batch.images, batch.targets)
    prepared, context = prepare(raw, chain="positive"), ScoringContext(explainer=explainer)
    found = {
        name: METRICS.create(name, radius=0.1, samples=4).score(prepared, batch, context=context) for name in NAMES
    }
    for index, case in enumerate(batch.cases):
        generator = scoring_generator(case, purpose="robustness")
        image, own = case.sample.image, prepared.maps[index]
        relative, ratios = [], []
        for _ in range(4):
            noise = torch.rand(image.shape, generator=generator)
            changed = (image + 0.1 * (2 * noise - 1)).clamp(0, 1)
            assert 0.05 < float((changed - image).abs().max()) <= 0.1 + 1e-6
            brightness = changed.mean(dim=0)
            difference = float((brightness / brightness.max() - own).square().sum().sqrt())
            relative.append(difference / float(own.square().sum().sqrt()))
            ratios.append(difference / float((changed - image).square().sum().sqrt()))
        assert float(found["max_sensitivity"][index]) == pytest.approx(max(relative), rel=1e-4)
        assert float(found["average_sensitivity"][index]) == pytest.approx(sum(relative) / 4, rel=1e-4)
        assert float(found["local_lipschitz"][index]) == pytest.approx(max(ratios), rel=1e-4)


def test_the_three_share_their_explanations() -> None:
    _, batch = random_batch(3)
    explainer = BrightnessExplainer(tiny_classifier())
    raw = explainer.explain(batch.images, batch.targets)
    context, explainer.asked = ScoringContext(explainer=explainer), 0
    for name in NAMES:
        METRICS.create(name).score(prepare(raw, chain="positive"), batch, context=context)
    assert explainer.asked == 3 * 10


@pytest.mark.parametrize("name", NAMES)
def test_constant_maps_never_move_and_noise_always_does(name: str) -> None:
    _, batch = random_batch(3)
    classifier = tiny_classifier()
    found = {}
    for control in ("uniform", "centre_gaussian", "oracle", "random", "sobel"):
        explainer = EXPLAINERS.create(control, classifier)
        masks = batch.gt_masks if explainer.sees_gt_masks else None
        raw = explainer.explain(batch.images, batch.targets, gt_masks=masks)
        prepared, context = prepare(raw, chain="positive"), ScoringContext(explainer=explainer)
        found[control] = METRICS.create(name).score(prepared, batch, context=context)
    for control in ("uniform", "centre_gaussian", "oracle"):
        assert found[control].tolist() == [0.0] * 3
    assert (found["random"] > 5 * found["sobel"]).all(), "noise seeded by the image is another for every image"
    assert (found["sobel"] > 0).all()


class VanishingExplainer(Explainer):
    """A map for the images it is made with, nothing for any other."""

    family = "test"
    citation = "none"

    def __init__(self, known: Tensor) -> None:
        super().__init__(tiny_classifier())
        self.known = known

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        return torch.stack([image[0] * bool((self.known == image).all(dim=(1, 2, 3)).any()) for image in images])


def test_a_map_that_vanishes_changes_by_all_of_itself() -> None:
    _, batch = random_batch(2)
    explainer = VanishingExplainer(batch.images)
    raw = explainer.explain(batch.images, batch.targets)
    context = ScoringContext(explainer=explainer)
    for name in ("max_sensitivity", "average_sensitivity"):
        found = METRICS.create(name).score(prepare(raw, chain="positive"), batch, context=context)
        assert found.tolist() == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"radius": 0.0}, "radius is 0.0; wanted a change"),
        ({"radius": 1.0}, "radius is 1.0; wanted a change"),
        ({"samples": 0}, "samples is 0; wanted at least 1"),
    ],
)
def test_wrong_settings_are_refused(name: str, params: dict[str, Any], wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        METRICS.create(name, **params)
