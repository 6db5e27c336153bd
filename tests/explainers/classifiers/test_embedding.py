"""The embedding: what enters the last linear layer."""

import pytest
import timm
import torch
from torch import Tensor, nn

from xaibench.datasets import InputError
from xaibench.explainers import Classifier


def wrap(module: nn.Module, **params) -> Classifier:
    return Classifier(module, task="multiclass", output_names=["a", "b"], image_size=32, **params)


def test_the_last_linear_layer_turns_it_into_logits(classifier, make_batch, untouched):
    images = make_batch().images
    with untouched(classifier):
        embedding = classifier.embedding(images)
    assert classifier.embedding_layer == "head"
    assert embedding.shape == (8, 32)
    torch.testing.assert_close(classifier.module.head(embedding), classifier(images))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("model", ["resnet18", "tf_efficientnet_lite0", "convnext_atto"])
def test_networks_of_timm(model, channels):
    module = timm.create_model(model, num_classes=2, in_chans=channels)
    classifier = wrap(module, channels=channels)
    images = torch.rand(2, channels, 40, 56)
    logits = module.get_classifier()(classifier.embedding(images))
    torch.testing.assert_close(logits, classifier(images))


class ConvolutionHead(nn.Module):
    """Its last layer is a 1 × 1 convolution on pooled maps; a linear layer on the side answers nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 5, 3)
        self.head = nn.Conv2d(5, 2, 1)
        self.side = nn.Linear(5, 7)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.body(images).mean(dim=(2, 3), keepdim=True)
        answer = self.head(maps)
        self.side(maps.flatten(1))
        return answer.flatten(1)


def test_a_convolution_may_be_the_head():
    classifier = wrap(ConvolutionHead())
    images = torch.rand(2, 3, 32, 32)
    assert classifier.embedding_layer == "head"
    wanted = classifier.module.body((images - 0.5) / 0.25).mean(dim=(2, 3))
    torch.testing.assert_close(classifier.embedding(images), wanted)


def test_it_may_be_chosen():
    classifier = wrap(ConvolutionHead(), embedding_layer="body")
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(classifier.embedding(images), ((images - 0.5) / 0.25).mean(dim=(2, 3)))
    with pytest.raises(InputError, match=r"no layer 'tail'; name the one"):
        wrap(ConvolutionHead(), embedding_layer="tail").embedding(images)


def test_tokens_are_averaged():
    module = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.Flatten(2), nn.Linear(16, 2), nn.Flatten())
    classifier = wrap(module, embedding_layer="2")
    images = torch.rand(2, 3, 32, 32)
    wanted = module[1](module[0]((images - 0.5) / 0.25)).mean(dim=1)
    torch.testing.assert_close(classifier.embedding(images), wanted)


def test_the_outputs_of_an_encoder_are_its_embedding():
    encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.rand(2, 3, 32, 32)
    for classifier in (wrap(encoder), wrap(nn.Sequential(encoder, nn.Linear(4, 2)), embedding_layer="")):
        assert classifier.embedding_layer == ""
        assert torch.equal(classifier.embedding(images), classifier(images))


def test_it_is_differentiable(classifier, make_batch):
    images = make_batch(n=2).images.requires_grad_()
    classifier.embedding(images).square().sum().backward()
    assert images.grad is not None
    assert images.grad.abs().max() > 0


def test_hooks_are_gone_after_a_failure(classifier, untouched):
    _ = classifier.embedding_layer
    with untouched(classifier), pytest.raises(RuntimeError):
        classifier.embedding(torch.zeros(1, 5, 32, 32))
