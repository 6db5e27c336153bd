"""Guided backpropagation, DeepLIFT and LRP against Captum, where Captum can, and against what must hold."""

import pytest
import torch
from captum.attr import LRP, DeepLift, GuidedBackprop
from captum.attr._utils.lrp_rules import EpsilonRule
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn.functional import relu

from xaibench.datasets import InputError
from xaibench.explainers import Classifier
from xaibench.explainers.gradient import DeepLiftExplainer, GuidedBackpropExplainer, LrpExplainer, SaliencyExplainer
from xaibench.explainers.gradient.deep_lift import multipliers

TARGETS = torch.tensor([0, 2, 1])


def wrap(module: nn.Module, size: int = 16) -> Classifier:
    return Classifier(module, task="multiclass", output_names=["a", "b", "c"], image_size=size)


def chain(*, bias: bool = True, inplace: bool = False, pool: nn.Module | None = None) -> nn.Sequential:
    torch.manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=bias),
        nn.ReLU(inplace),
        nn.MaxPool2d(2) if pool is None else pool,
        nn.Conv2d(6, 8, 3, bias=bias),
        nn.ReLU(inplace),
        nn.Flatten(),
        nn.Linear(288, 10, bias=bias),
        nn.ReLU(inplace),
        nn.Linear(10, 3, bias=bias),
    )


class WrittenOut(nn.Module):
    """The chain, with one ReLU for all, functional ReLUs and in-place methods."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = chain()

    def forward(self, images: Tensor) -> Tensor:
        first = relu(self.layers[0](images), inplace=True)
        second = self.layers[3](self.layers[2](first)).relu_()
        third = self.layers[6](second.flatten(1)).clone()
        return self.layers[8](torch.relu(third))


class Flattened(nn.Module):
    """The chain as Captum's LRP takes it: without a layer that only flattens."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = chain()
        self.layers[5] = nn.Dropout()

    def forward(self, images: Tensor) -> Tensor:
        return self.layers[6:](self.layers[:6](images).flatten(1))


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


RULES = [GuidedBackpropExplainer, DeepLiftExplainer, LrpExplainer]


@pytest.mark.parametrize("explainer", RULES)
@pytest.mark.parametrize("module", [chain(inplace=True), WrittenOut()], ids=["in place", "written out"])
def test_how_a_relu_is_called_does_not_matter(explainer, module, images):
    wanted = explainer(wrap(chain())).explain(images, TARGETS)
    torch.testing.assert_close(explainer(wrap(module)).explain(images, TARGETS), wanted)


def test_guided_backprop_equals_captum(images):
    classifier = wrap(chain())
    wanted = GuidedBackprop(classifier).attribute(images.clone().requires_grad_(), target=TARGETS)
    found = GuidedBackpropExplainer(classifier, channel_reduction="sum").explain(images, TARGETS)
    torch.testing.assert_close(found, wanted.sum(dim=1))
    plain = SaliencyExplainer(classifier, channel_reduction="sum").explain(images, TARGETS)
    assert not torch.allclose(found.abs(), plain)


def test_deep_lift_equals_captum(images):
    # Without max-pooling, where the two break ties differently.
    classifier = wrap(chain(pool=nn.AvgPool2d(2)))
    mean_color = classifier.mean_color(images).clone()
    wanted = DeepLift(classifier).attribute(images.clone(), baselines=mean_color, target=TARGETS)
    found = DeepLiftExplainer(classifier).explain(images, TARGETS)
    torch.testing.assert_close(found, wanted.sum(dim=1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU, nn.SiLU, nn.ReLU6, nn.Sigmoid, nn.Hardswish])
def test_contributions_of_deep_lift_sum_to_the_change(activation, images):
    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3), activation(), nn.MaxPool2d(3, stride=2), nn.Flatten(), nn.Linear(216, 3), activation()
    )
    contributions, change = multipliers(wrap(module), images, TARGETS)
    torch.testing.assert_close(contributions.sum(dim=(1, 2, 3)), change, atol=1e-5, rtol=1e-4)
    assert change.abs().min() > 1e-4


def test_contributions_of_a_residual_network_sum_to_the_change(classifier, make_batch):
    batch = make_batch()
    contributions, change = multipliers(classifier, batch.images, batch.targets)
    torch.testing.assert_close(contributions.sum(dim=(1, 2, 3)), change, atol=1e-4, rtol=1e-4)


def test_a_pixel_of_mean_colour_contributes_nothing(images):
    images[:, :, 3:6] = 0.5
    maps = DeepLiftExplainer(wrap(chain())).explain(images, TARGETS)
    assert not maps[:, 3:6].any()
    assert maps[:, 6:].any()


def test_lrp_epsilon_equals_captum(images):
    module = Flattened()
    classifier = wrap(module)
    # Captum's denominators get an absolute epsilon, ours a relative one: both vanish.
    found = LrpExplainer(classifier, convolution_rule="epsilon", epsilon=1e-9).explain(images, TARGETS)
    for layer in module.layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.rule = EpsilonRule(1e-9)
    wanted = LRP(module).attribute((images - 0.5) / 0.25, target=TARGETS)
    torch.testing.assert_close(found, wanted.sum(dim=1).detach(), atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("rule", ["epsilon", "z_plus"])
def test_relevance_is_conserved_where_there_are_no_biases(rule, images):
    classifier = wrap(chain(bias=False))
    maps = LrpExplainer(classifier, convolution_rule=rule, epsilon=1e-7).explain(images, TARGETS)
    with torch.no_grad():
        wanted = classifier(images).gather(1, TARGETS[:, None])[:, 0]
    torch.testing.assert_close(maps.sum(dim=(1, 2)), wanted, atol=1e-5, rtol=1e-3)


def test_z_plus_shares_out_by_positive_contributions():
    torch.manual_seed(2)
    convolution = nn.Conv2d(1, 1, 3)
    module = nn.Sequential(convolution, nn.Flatten())
    classifier = Classifier(
        module, task="regression", output_names=["a"], channels=1, image_size=3, mean=(0.0,), std=(1.0,)
    )
    image = torch.rand(1, 1, 3, 3)
    contributions = (image[0, 0] * convolution.weight[0, 0].detach()).clamp(min=0)
    wanted = contributions / contributions.sum() * float(classifier(image).detach())
    found = LrpExplainer(classifier, epsilon=1e-9).explain(image, torch.tensor([0]))
    torch.testing.assert_close(found[0], wanted)


def vit() -> VisionTransformer:
    return VisionTransformer(img_size=16, patch_size=4, embed_dim=16, depth=2, num_heads=2, num_classes=3)


def test_networks_without_rules_are_refused_with_a_reason(classifier):
    assert [explainer.unsupported(classifier) for explainer in RULES] == [None, None, None]
    reasons = [explainer.unsupported(wrap(vit())) for explainer in RULES]
    for reason, named in zip(
        reasons, ["no ReLU", "miss the change of the output", "no rule for the operation"], strict=True
    ):
        assert reason is not None
        assert named in reason


def test_epsilon_must_be_positive(classifier):
    with pytest.raises(InputError, match=r"epsilon is 0; wanted more than 0"):
        LrpExplainer(classifier, epsilon=0)
