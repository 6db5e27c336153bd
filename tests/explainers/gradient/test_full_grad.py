"""FullGrad against what must hold, and against the grad-cam package."""

import pytest
import torch
from pytorch_grad_cam import FullGrad
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from xaibench.explainers import Classifier
from xaibench.explainers.gradient import FullGradExplainer
from xaibench.explainers.gradient.full_grad import full_gradient

TARGETS = torch.tensor([0, 2, 1])
ACTIVATIONS = [nn.ReLU, nn.LeakyReLU, nn.ReLU6, nn.Hardswish, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh]


def wrap(module: nn.Module) -> Classifier:
    return Classifier(module, task="multiclass", output_names=["a", "b", "c"], image_size=16)


def network(activation: type[nn.Module] = nn.ReLU, **params: bool) -> nn.Sequential:
    """Convolutions with and without biases, batch normalization with statistics of its own, a head."""
    torch.manual_seed(4)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        activation(**params),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        activation(**params),
        nn.Flatten(),
        nn.Linear(288, 3),
    )
    norm = module[4]
    nn.init.uniform_(norm.running_mean, -0.5, 0.5)
    nn.init.uniform_(norm.running_var, 0.5, 2.0)
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    nn.init.uniform_(norm.bias, -0.5, 0.5)
    return module


def split(classifier: Classifier, images: Tensor, targets: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
    """Contributions of the input, those of the biases from the output to the input, and the logits."""
    of_biases: list[Tensor] = []
    of_input, logits = full_gradient(classifier, images, targets, take=of_biases.append)
    return of_input, of_biases, logits


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def assert_complete(of_input: Tensor, of_biases: list[Tensor], logits: Tensor) -> None:
    total = sum(part.flatten(1).sum(dim=1) for part in [of_input, *of_biases])
    torch.testing.assert_close(total, logits, atol=1e-4, rtol=1e-4)
    without_biases = of_input.flatten(1).sum(dim=1)
    assert (without_biases - logits).abs().max() > 0.05, "the biases matter here"


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_contributions_sum_to_the_logit(activation, images):
    assert_complete(*split(wrap(network(activation)), images, TARGETS))


def test_contributions_of_a_residual_network_sum_to_the_logit(classifier, make_batch):
    batch = make_batch()
    assert_complete(*split(classifier, batch.images, batch.targets))


def test_contributions_of_a_bias_are_its_gradient_times_itself(images):
    module = network().eval()
    classifier = wrap(module)
    _, (of_head, of_norm, of_plain, of_convolution), _ = split(classifier, images[:1], TARGETS[:1])
    classifier(images[:1])[0, 0].backward()
    norm = module[4]
    implicit = norm.bias - norm.running_mean * norm.weight / (norm.running_var + norm.eps).sqrt()
    for found, bias, gradient in (
        (of_convolution, module[0].bias, module[0].bias.grad),
        (of_norm, implicit, norm.bias.grad),
        (of_head[..., None, None], module[7].bias, module[7].bias.grad),
    ):
        torch.testing.assert_close(found[0].sum(dim=(1, 2)), (bias * gradient).detach())
    assert not of_plain.any()


def test_the_sum_over_channels_equals_the_package(images):
    # Layers in a chain alone: the package pairs biases in the order of modules with gradients in the order of calls.
    classifier = wrap(network())
    found = FullGradExplainer(classifier, rescaling="channel").explain(images, TARGETS)
    with FullGrad(model=classifier.module, target_layers=[]) as package:
        wanted = package(
            input_tensor=(images - classifier.mean) / classifier.std,
            targets=[ClassifierOutputTarget(int(target)) for target in TARGETS],
        )
    lowest, highest = found.amin(dim=(1, 2), keepdim=True), found.amax(dim=(1, 2), keepdim=True)
    torch.testing.assert_close((found - lowest) / (highest - lowest), torch.from_numpy(wanted), atol=1e-3, rtol=0)


def test_a_layer_as_a_whole_keeps_the_proportions_of_its_channels(images):
    classifier = wrap(network())
    of_input, of_biases, _ = split(classifier, images, TARGETS)
    wanted = torch.zeros(3, 16, 16)
    for part in [of_input, *of_biases]:
        if part.ndim == 4 and part.any():
            for number, sizes in enumerate(part.abs()):
                scaled = (sizes - sizes.min()) / (sizes.max() - sizes.min())
                larger = nn.functional.interpolate(scaled[None], size=(16, 16), mode="bilinear", align_corners=False)
                wanted[number] += larger[0].sum(dim=0)
    torch.testing.assert_close(FullGradExplainer(classifier).explain(images, TARGETS), wanted)


def test_a_channel_that_is_the_same_everywhere_says_nothing():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3, bias=False))
    explainer = FullGradExplainer(wrap(module), rescaling="channel")
    assert not explainer.explain(torch.full((1, 3, 16, 16), 0.5), TARGETS[:1]).any()


@pytest.mark.parametrize("activation", [nn.ReLU, nn.ReLU6, nn.SiLU])
def test_in_place_activations_do_not_matter(activation, images):
    wanted = FullGradExplainer(wrap(network(activation))).explain(images, TARGETS)
    found = FullGradExplainer(wrap(network(activation, inplace=True))).explain(images, TARGETS)
    torch.testing.assert_close(found, wanted)


def test_networks_with_unknown_biases_are_refused_with_a_reason(classifier):
    assert FullGradExplainer.unsupported(classifier) is None
    transformer = VisionTransformer(img_size=16, patch_size=4, embed_dim=16, depth=2, num_heads=2, num_classes=3)
    reason = FullGradExplainer.unsupported(wrap(transformer))
    assert reason is not None
    assert "biases are not known" in reason
