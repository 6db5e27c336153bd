"""Layers that a decoder can read, found in networks of others."""

import pytest
import timm
import torch
from torch import Tensor, nn

from xaibench.datasets import InputError
from xaibench.explainers import Classifier
from xaibench.explainers.classifiers.feature_layers import find_feature_layers


def probe(model: str, side: int = 64) -> list[tuple[str, tuple[int, ...]]]:
    module = timm.create_model(model, pretrained=False, num_classes=2)
    classifier = Classifier(module, task="multiclass", output_names=["a", "b"], image_size=side)
    features = classifier.features(torch.rand(2, 3, side, side))
    return [(name, tuple(maps.shape[1:])) for name, maps in zip(classifier.feature_layers, features, strict=True)]


def test_resnet18():
    assert probe("resnet18") == [
        ("act1", (64, 32, 32)),
        ("layer1", (64, 16, 16)),
        ("layer2", (128, 8, 8)),
        ("layer3", (256, 4, 4)),
        ("layer4", (512, 2, 2)),
    ]


def test_efficientnet_lite0():
    found = probe("tf_efficientnet_lite0")
    assert [shape[1:] for _, shape in found] == [(32, 32), (16, 16), (8, 8), (4, 4), (2, 2)]
    assert found[-1] == ("bn2", (1280, 2, 2))


def test_convnext():
    found = probe("convnext_atto")
    assert [shape[1:] for _, shape in found] == [(16, 16), (8, 8), (4, 4), (2, 2)]
    assert found[-1] == ("stages", (320, 2, 2))


@pytest.mark.parametrize("model", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_networks_of_tokens_are_refused(model):
    with pytest.raises(InputError, match=r"1 resolution.*name feature_layers yourself"):
        probe(model, side=224)


class Tricky(nn.Module):
    """Attention, a finer side branch after a stride, tuples, an unused layer, 1 × 1 maps."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, 4, 3, padding=1)
        self.coarse = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.late_and_fine = nn.Conv2d(4, 5, 1)
        self.attention = nn.Softmax(dim=-1)
        self.unused = nn.Conv2d(3, 3, 1)
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.as_it_is = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        fine = self.fine(images)
        coarse = self.coarse(fine)
        self.late_and_fine(fine)
        self.attention(torch.zeros(1, 3, 7, 7))
        self.as_it_is(coarse)
        return self.squeeze(coarse).flatten(1)


def test_only_stages_count():
    module = Tricky()
    assert find_feature_layers(module, torch.zeros(1, 3, 16, 16)) == ("fine", "coarse")
    assert not any(sub_module._forward_hooks for sub_module in module.modules())


def test_hooks_are_gone_after_a_failure():
    module = Tricky()
    with pytest.raises(RuntimeError):
        find_feature_layers(module, torch.zeros(1, 5, 16, 16))
    assert not any(sub_module._forward_hooks for sub_module in module.modules())
