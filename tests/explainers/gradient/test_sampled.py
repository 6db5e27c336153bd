"""Gradients averaged over noise and over training images, against loops."""

import pytest
import torch
from torch import Tensor

from xaibench.datasets import InputError
from xaibench.explainers import Classifier
from xaibench.explainers.gradient import ExpectedGradientsExplainer, SmoothGradExplainer, VarGradExplainer
from xaibench.explainers.randomness import case_seed


def gradient(classifier: Classifier, image: Tensor, target: int) -> Tensor:
    leaf = image[None].clone().requires_grad_()
    (found,) = torch.autograd.grad(classifier(leaf)[0, target], leaf)
    return found[0]


def noisy_gradients(classifier: Classifier, image: Tensor, target: int, *, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(case_seed(seed, image, target))
    noise = torch.randn(6, *image.shape, generator=generator)
    spread = 0.2 * float(image.max() - image.min())
    return torch.stack([gradient(classifier, image + spread * one, target) for one in noise])


@pytest.mark.parametrize("images_per_pass", [1, 4, 100])
def test_smoothgrad_and_vargrad_are_mean_and_variance(classifier, make_batch, images_per_pass):
    batch = make_batch(n=2)
    params = {"samples": 6, "noise": 0.2, "images_per_pass": images_per_pass, "seed": 3}
    smooth = SmoothGradExplainer(classifier, **params).explain(batch.images, batch.targets)
    variance = VarGradExplainer(classifier, **params).explain(batch.images, batch.targets)
    for index, (image, target) in enumerate(zip(batch.images, batch.targets.tolist(), strict=True)):
        gradients = noisy_gradients(classifier, image, target, seed=3)
        mean = sum(gradients) / 6
        torch.testing.assert_close(smooth[index], mean.abs().amax(dim=0), atol=1e-5, rtol=1e-3)
        spread = sum((one - mean) ** 2 for one in gradients) / 6
        torch.testing.assert_close(variance[index], spread.sum(dim=0), atol=1e-5, rtol=1e-3)


@pytest.fixture
def fitted(classifier, blobs) -> ExpectedGradientsExplainer:
    explainer = ExpectedGradientsExplainer(classifier, samples=5, backgrounds=4, seed=1)
    explainer.fit(blobs)
    return explainer


def test_expected_gradients_equal_a_loop(fitted, classifier, blobs, make_batch):
    order = torch.randperm(len(blobs), generator=torch.Generator().manual_seed(1))[:4].tolist()
    pool = [blobs[index].image for index in order]
    batch = make_batch(n=2)
    maps = fitted.explain(batch.images, batch.targets)
    for found, image, target in zip(maps, batch.images, batch.targets.tolist(), strict=True):
        generator = torch.Generator().manual_seed(case_seed(1, image, target))
        drawn = torch.randint(4, (5,), generator=generator).tolist()
        positions = torch.rand(5, 1, 1, 1, generator=generator).flatten().tolist()
        total = torch.zeros(3, 32, 32)
        for index, position in zip(drawn, positions, strict=True):
            way = image - pool[index]
            total += way * gradient(classifier, pool[index] + position * way, target)
        torch.testing.assert_close(found, (total / 5).sum(dim=0), atol=1e-5, rtol=1e-3)


def test_what_was_fitted_comes_back(fitted, classifier, make_classifier, make_batch, tmp_path):
    batch, path = make_batch(n=2), tmp_path / "backgrounds.safetensors"
    fitted.save(path)
    loaded = ExpectedGradientsExplainer.load(path, classifier)
    assert torch.equal(loaded.explain(batch.images, batch.targets), fitted.explain(batch.images, batch.targets))
    assert loaded.fit_record == fitted.fit_record
    assert loaded.fit_record["settings"]["backgrounds"] == 4
    assert loaded.fit_record["fit_seconds"] > 0
    with pytest.raises(InputError, match=r"was fitted on classifier .*; fit it on this classifier"):
        ExpectedGradientsExplainer.load(path, make_classifier(seed=8))


def test_data_that_do_not_suit_are_refused(classifier, make_blobs):
    with pytest.raises(InputError, match="ExpectedGradientsExplainer: blobs has no images"):
        ExpectedGradientsExplainer(classifier).fit(make_blobs(n_images=0))
    with pytest.raises(InputError, match=r"blobs has 1 channels .*; wanted 3 channels"):
        ExpectedGradientsExplainer(classifier).fit(make_blobs(channels=1))


@pytest.mark.parametrize(
    ("explainer", "params"),
    [
        (SmoothGradExplainer, {"samples": 1}),
        (SmoothGradExplainer, {"noise": 0.0}),
        (SmoothGradExplainer, {"images_per_pass": 0}),
        (ExpectedGradientsExplainer, {"samples": 0}),
        (ExpectedGradientsExplainer, {"backgrounds": 0}),
    ],
)
def test_unusable_parameters_are_refused(classifier, explainer, params):
    with pytest.raises(InputError, match=rf"{next(iter(params))} is .*; wanted"):
        explainer(classifier, **params)
