"""Captum's explainers against slow references of our own."""

import math

import pytest
import torch
from torch import Tensor, nn

from xaibench.datasets import InputError
from xaibench.explainers import Classifier
from xaibench.explainers.cam import GradCamExplainer
from xaibench.explainers.channels import reduce_channels
from xaibench.explainers.gradient import (
    GradientShapExplainer,
    InputXGradientExplainer,
    IntegratedGradientsExplainer,
    SaliencyExplainer,
)
from xaibench.explainers.perturbation import OcclusionExplainer

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


class Linear(nn.Module):
    """Outputs w_k · x."""

    def __init__(self, size: int = 16) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(torch.randn(3, 3 * size * size, generator=generator))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight.T


class Smooth(Linear):
    """Outputs that bend: tanh(w_k · x / 30)."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.tanh(super().forward(images) / 30)


def wrap(module: nn.Module, size: int = 16) -> Classifier:
    return Classifier(module, task="multiclass", output_names=["a", "b", "c"], mean=MEAN, std=STD, image_size=size)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


TARGETS = torch.tensor([0, 2, 1, 2])


def own_gradient(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Gradient of every image's own logit, one image at a time."""
    rows = []
    for image, target in zip(images, targets, strict=True):
        one = image[None].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(classifier(one)[0, target], one)
        rows.append(gradient[0])
    return torch.stack(rows)


def weight_on_images(classifier: Classifier, targets: Tensor) -> Tensor:
    """Of a linear module, with respect to images in [0, 1]: (B, 3, H, W)."""
    weight = classifier.module.weight[targets].reshape(len(targets), 3, 16, 16)
    return (weight / classifier.std).detach()


def test_saliency_is_the_largest_magnitude_of_the_gradient(images):
    classifier = wrap(Smooth())
    wanted = own_gradient(classifier, images, TARGETS).abs().amax(dim=1)
    torch.testing.assert_close(SaliencyExplainer(classifier).explain(images, TARGETS), wanted)


def test_input_x_gradient_counts_from_mean_colour(images):
    classifier = wrap(Smooth())
    offsets = images - torch.tensor(MEAN).reshape(1, 3, 1, 1)
    wanted = (offsets * own_gradient(classifier, images, TARGETS)).sum(dim=1)
    torch.testing.assert_close(InputXGradientExplainer(classifier).explain(images, TARGETS), wanted)
    signless = InputXGradientExplainer(classifier, channel_reduction="max_abs").explain(images, TARGETS)
    torch.testing.assert_close(signless, (offsets * own_gradient(classifier, images, TARGETS)).abs().amax(dim=1))


def test_integrated_gradients_are_complete(images):
    classifier = wrap(Smooth())
    with torch.no_grad():
        change = classifier(images) - classifier(classifier.mean_color(images))
    wanted = change.gather(1, TARGETS[:, None])[:, 0]
    maps = IntegratedGradientsExplainer(classifier, steps=64).explain(images, TARGETS)
    torch.testing.assert_close(maps.sum(dim=(1, 2)), wanted, atol=1e-4, rtol=1e-4)
    assert wanted.abs().min() > 0.01


@pytest.mark.parametrize("internal_batch_size", [1, 5, 1000])
def test_integrated_gradients_do_not_depend_on_the_internal_batch(images, internal_batch_size):
    classifier = wrap(Smooth())
    wanted = IntegratedGradientsExplainer(classifier, steps=8).explain(images, TARGETS)
    explainer = IntegratedGradientsExplainer(classifier, steps=8, internal_batch_size=internal_batch_size)
    torch.testing.assert_close(explainer.explain(images, TARGETS), wanted)


def test_gradient_shap_of_a_linear_model_is_weight_times_distance_from_the_mean_baseline(images):
    classifier = wrap(Linear())
    maps = GradientShapExplainer(classifier, samples=4000, noise=0.0).explain(images[:2], TARGETS[:2])
    # Black, mean colour and white, each as likely.
    mean_baseline = (torch.tensor(MEAN) + 1).reshape(1, 3, 1, 1) / 3
    weight = weight_on_images(classifier, TARGETS[:2])
    wanted = (weight * (images[:2] - mean_baseline)).sum(dim=1)
    # The mean of 4,000 draws from {0, mean, 1}, whose standard deviation is at most 1/2, misses by 1/100 at most.
    bound = 0.02 * weight.abs().sum(dim=1) + 1e-3
    assert ((maps - wanted).abs() < bound).all()


def test_gradient_shap_noise_changes_the_map_little(images):
    classifier = wrap(Smooth())
    quiet = GradientShapExplainer(classifier, samples=64, noise=0.0).explain(images, TARGETS)
    noisy = GradientShapExplainer(classifier, samples=64, noise=0.02).explain(images, TARGETS)
    assert not torch.equal(quiet, noisy)
    assert torch.corrcoef(torch.stack([quiet.flatten(), noisy.flatten()]))[0, 1] > 0.7


def test_gradient_shap_draws_anew_for_every_image_and_target(images):
    classifier = wrap(Linear())
    # Of a linear model the map tells the mean of the baselines that were drawn: x - attribution / w.
    targets = torch.tensor([0, 0, 1, 2])
    same = torch.cat([images[:2], images[1:2], images[1:2]])
    maps = GradientShapExplainer(classifier, samples=7, noise=0.05).explain(same, targets)
    weight = weight_on_images(classifier, targets)
    baselines = ((weight * same).sum(dim=1) - maps) / weight.sum(dim=1)
    brightness = baselines.flatten(1).median(dim=1).values
    assert len({round(value, 3) for value in brightness.tolist()}) == 4


def test_occlusion_equals_painting_every_window(images):
    classifier = wrap(Smooth())
    maps = OcclusionExplainer(classifier, window=0.25, stride=0.125).explain(images, TARGETS)
    fill = torch.tensor(MEAN).reshape(3, 1, 1)
    for image, target, found in zip(images, TARGETS, maps, strict=True):
        total, count = torch.zeros(16, 16), torch.zeros(16, 16)
        for top in range(0, 13, 2):
            for left in range(0, 13, 2):
                painted = image.clone()
                painted[:, top : top + 4, left : left + 4] = fill
                with torch.no_grad():
                    drop = (classifier(image[None]) - classifier(painted[None]))[0, target]
                total[top : top + 4, left : left + 4] += drop
                count[top : top + 4, left : left + 4] += 1
        # Summed over three channels, each of which is given the whole effect.
        torch.testing.assert_close(found, 3 * total / count, atol=1e-5, rtol=1e-4)


def test_gradcam_equals_the_formula_written_as_loops(make_classifier, make_batch):
    classifier = make_classifier()
    batch = make_batch(n=3)
    module = classifier.module
    maps = GradCamExplainer(classifier).explain(batch.images, batch.targets)
    for image, target, found in zip(batch.images, batch.targets, maps, strict=True):
        normalized = (image[None] - 0.5) / 0.25
        features = module.stage3(module.stage2(module.stage1(module.stem(normalized)))).detach().requires_grad_()
        logit = module.head(features.mean(dim=(2, 3)))[0, target]
        (gradient,) = torch.autograd.grad(logit, features)
        height, width = features.shape[-2:]
        cam = [[0.0] * width for _ in range(height)]
        for channel in range(features.shape[1]):
            weight = sum(float(g) for g in gradient[0, channel].flatten()) / (height * width)
            for row in range(height):
                for column in range(width):
                    cam[row][column] += weight * float(features[0, channel, row, column].detach())
        cam = [[max(0.0, value) for value in row] for row in cam]
        wanted = torch.tensor([[_bilinear(cam, y, x, 32) for x in range(32)] for y in range(32)])
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def _bilinear(cam: list[list[float]], y: int, x: int, size: int) -> float:
    side = len(cam)

    def neighbours(position: int) -> tuple[int, int, float]:
        place = max(0.0, (position + 0.5) * side / size - 0.5)
        low = min(math.floor(place), side - 1)
        return low, min(low + 1, side - 1), place - low

    top, bottom, down = neighbours(y)
    left, right, across = neighbours(x)
    upper = cam[top][left] * (1 - across) + cam[top][right] * across
    lower = cam[bottom][left] * (1 - across) + cam[bottom][right] * across
    return upper * (1 - down) + lower * down


def test_gradcam_reads_the_layer_it_is_given(make_classifier, make_batch):
    classifier, batch = make_classifier(), make_batch(n=2)
    last, middle = (GradCamExplainer(classifier, layer=layer) for layer in ("stage3", "stage2"))
    default = GradCamExplainer(classifier)
    assert torch.equal(last.explain(batch.images, batch.targets), default.explain(batch.images, batch.targets))
    assert not torch.allclose(middle.explain(batch.images, batch.targets), default.explain(batch.images, batch.targets))


def test_gradcam_refuses_unknown_layers_and_networks_without_maps(make_classifier):
    with pytest.raises(InputError, match="no layer 'stage9'; its feature layers are stem, stage1, stage2, stage3"):
        GradCamExplainer(make_classifier(), layer="stage9")
    assert GradCamExplainer.unsupported(make_classifier()) is None
    reason = GradCamExplainer.unsupported(wrap(Linear()))
    assert reason is not None
    assert "feature maps" in reason


@pytest.mark.parametrize(
    ("explainer", "params"),
    [
        (IntegratedGradientsExplainer, {"steps": 0}),
        (IntegratedGradientsExplainer, {"internal_batch_size": 0}),
        (GradientShapExplainer, {"samples": 0}),
        (GradientShapExplainer, {"noise": -0.1}),
        (GradientShapExplainer, {"noise": math.nan}),
        (OcclusionExplainer, {"window": 0.1, "stride": 0.2}),
        (OcclusionExplainer, {"window": 1.5}),
        (OcclusionExplainer, {"stride": 0.0}),
        (OcclusionExplainer, {"windows_per_pass": 0}),
    ],
)
def test_unusable_parameters_are_refused(classifier, explainer, params):
    with pytest.raises(InputError, match=rf"{next(iter(params))} is .*; wanted"):
        explainer(classifier, **params)


def test_channels_are_reduced_as_named():
    attribution = torch.tensor([1.0, -3.0, 0.5]).reshape(1, 3, 1, 1)
    found = {how: float(reduce_channels(attribution, how)) for how in ("sum", "sum_abs", "max_abs")}
    assert found == {"sum": -1.5, "sum_abs": 4.5, "max_abs": 3.0}
