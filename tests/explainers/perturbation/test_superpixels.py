"""LIME and KernelSHAP on superpixels against closed forms and all coalitions."""

from itertools import product
from math import comb

import pytest
import torch
from torch import Tensor, nn

from xaibench.datasets import InputError
from xaibench.explainers import Classifier
from xaibench.explainers.perturbation import KernelShapExplainer, LimeExplainer
from xaibench.explainers.perturbation.superpixels import superpixels


class Quadrants(nn.Module):
    """Outputs of the mean brightness of four quadrants: a sum, and one with products."""

    def forward(self, images: Tensor) -> Tensor:
        means = images.mean(dim=1).unfold(1, 8, 8).unfold(2, 8, 8).mean(dim=(3, 4)).flatten(1)
        a, b, c, d = means.T
        return torch.stack([a + 2 * b - 3 * c, a * b + 4 * b * c * d - d], dim=1)


@pytest.fixture
def classifier() -> Classifier:
    return Classifier(
        Quadrants(), task="regression", output_names=["sum", "products"], mean=(0.0,), std=(1.0,), image_size=16
    )


@pytest.fixture
def image() -> Tensor:
    colours = torch.tensor([[0.9, 0.1, 0.2], [0.2, 0.8, 0.1], [0.1, 0.3, 0.9], [0.7, 0.7, 0.6]])
    places = torch.arange(4).reshape(2, 2).repeat_interleave(8, 0).repeat_interleave(8, 1)
    return colours[places].permute(2, 0, 1)


def test_superpixels_follow_colours(image):
    labels = superpixels(image, segments=4)
    assert labels.shape == (16, 16)
    assert labels.unique().tolist() == [0, 1, 2, 3]
    for rows, columns in product((slice(0, 8), slice(8, 16)), repeat=2):
        assert len(labels[rows, columns].unique()) == 1


def test_one_channel_and_constant_images_have_superpixels():
    for channels in (1, 3):
        labels = superpixels(torch.zeros(channels, 20, 12), segments=6)
        assert labels.shape == (20, 12)
        assert labels.unique().tolist() == list(range(int(labels.max()) + 1))


def quadrant_values(found: Tensor) -> list[float]:
    return [float(found[row, column]) for row in (0, 8) for column in (0, 8)]


def shapley_values(classifier: Classifier, image: Tensor, target: int) -> list[float]:
    """By definition, over all coalitions of the other three quadrants."""

    def value(present: tuple[int, ...]) -> float:
        mask = torch.tensor(present).reshape(2, 2).repeat_interleave(8, 0).repeat_interleave(8, 1)
        return float(classifier((image * mask)[None])[0, target])

    values = []
    for player in range(4):
        total = 0.0
        for others in product((0, 1), repeat=3):
            without = (*others[:player], 0, *others[player:])
            joined = (*others[:player], 1, *others[player:])
            total += (value(joined) - value(without)) / (4 * comb(3, sum(others)))
        values.append(total)
    return values


@pytest.mark.parametrize("target", [0, 1])
def test_kernel_shap_finds_shapley_values(classifier, image, target):
    explainer = KernelShapExplainer(classifier, segments=4, samples=8000)
    found = quadrant_values(explainer.explain(image[None], torch.tensor([target]))[0])
    assert found == pytest.approx(shapley_values(classifier, image, target), abs=0.02 if target else 1e-5)


def test_kernel_shap_values_sum_to_the_change_with_few_samples(classifier, image):
    for samples in (1, 2, 5):
        explainer = KernelShapExplainer(classifier, segments=4, samples=samples)
        found = quadrant_values(explainer.explain(image[None], torch.tensor([1]))[0])
        change = classifier(image[None]) - classifier(torch.zeros_like(image)[None])
        assert sum(found) == pytest.approx(float(change[0, 1]), abs=1e-5)


def test_one_superpixel_gets_everything(classifier, image):
    found = KernelShapExplainer(classifier, segments=1).explain(image[None] * 0 + 0.5, torch.tensor([0]))
    torch.testing.assert_close(found, torch.zeros(1, 16, 16), atol=1e-6, rtol=0)
    plain = image * 0 + torch.tensor([0.8, 0.2, 0.5]).reshape(3, 1, 1)
    found = KernelShapExplainer(classifier, segments=1).explain(plain[None], torch.tensor([1]))
    assert len(found.unique()) == 1
    assert float(found[0, 0, 0]) == pytest.approx(float(classifier(plain[None])[0, 1]), abs=1e-6)


def test_lime_equals_scikit_learns_ridge_regression(classifier, image):
    from sklearn.linear_model import Ridge

    explainer = LimeExplainer(classifier, segments=4, samples=60, seed=2)
    labels, seen = superpixels(image, segments=4), []
    original = explainer._coefficients
    explainer._coefficients = lambda z, y: seen.append((z, y)) or original(z, y)
    found = explainer.explain(image[None], torch.tensor([1]))[0]
    coalitions, responses = seen[0]
    for row, response in zip(coalitions[:9], responses[:9], strict=True):
        shown = image * row[labels].float()
        assert float(classifier(shown[None])[0, 1]) == pytest.approx(float(response), abs=1e-6)
    cosine = torch.nn.functional.cosine_similarity(coalitions, torch.ones(1, 4).double(), dim=1)
    weights = torch.exp(-((1 - cosine) ** 2) / 0.25**2)
    ridge = Ridge(alpha=1.0).fit(coalitions.numpy(), responses.numpy(), sample_weight=weights.numpy())
    torch.testing.assert_close(found, torch.from_numpy(ridge.coef_).float()[labels], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("images_per_pass", [1, 7, 1000])
@pytest.mark.parametrize("explainer", [LimeExplainer, KernelShapExplainer])
def test_maps_do_not_depend_on_the_images_per_pass(classifier, image, explainer, images_per_pass):
    wanted = explainer(classifier, samples=20).explain(image[None], torch.tensor([1]))
    found = explainer(classifier, samples=20, images_per_pass=images_per_pass).explain(image[None], torch.tensor([1]))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("params", [{"segments": 0}, {"samples": 0}, {"images_per_pass": 0}])
def test_unusable_parameters_are_refused(classifier, params):
    with pytest.raises(InputError, match=rf"{next(iter(params))} is 0; wanted at least 1"):
        LimeExplainer(classifier, **params)
