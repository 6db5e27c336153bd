"""The wrapper around the explained network."""

import pytest
import torch
from torch import nn

from xaibench.datasets import InputError, Task
from xaibench.explainers import Classifier
from xaibench.explainers.classifiers.small_resnet import SmallResNet


class Echo(nn.Module):
    """Returns the pixels that it is shown."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)


def test_images_are_normalized_inside():
    echo = Classifier(Echo(), task="regression", output_names=["a"], mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.1))
    images = torch.full((2, 3, 1, 1), 0.6)
    torch.testing.assert_close(echo(images), torch.tensor([[1.0, 1.6, 3.0]] * 2))
    torch.testing.assert_close(echo(echo.mean_color(images)), torch.zeros(2, 3))
    assert echo.mean_color(images).shape == images.shape


def test_one_value_serves_all_channels():
    echo = Classifier(Echo(), task="regression", output_names=["a"], mean=(0.5,), std=(0.25,), channels=1)
    torch.testing.assert_close(echo(torch.ones(1, 1, 1, 1)), torch.tensor([[2.0]]))
    assert echo.mean_color(torch.ones(2, 3, 4, 4)).shape == (2, 3, 4, 4)


@pytest.mark.parametrize("task", list(Task))
def test_scores_are_what_the_task_asks(make_classifier, make_batch, task):
    classifier, images = make_classifier(task=task), make_batch().images
    logits, scores = classifier.logits(images), classifier.scores(images)
    assert scores.shape == (8, 3)
    assert torch.equal(scores, classifier.scores_from_logits(logits))
    if task is Task.MULTICLASS:
        torch.testing.assert_close(scores, logits.exp() / logits.exp().sum(dim=1, keepdim=True))
    elif task is Task.MULTILABEL:
        torch.testing.assert_close(scores, 1 / (1 + (-logits).exp()))
    else:
        assert torch.equal(scores, logits)


def test_logits_are_differentiable(classifier, make_batch):
    images = make_batch(n=1).images.requires_grad_()
    classifier.logits(images)[0, 1].backward()
    assert images.grad is not None
    assert images.grad.abs().max() > 0


def test_it_is_in_eval_mode_always(make_batch):
    module = SmallResNet(3, 3, width=8).train()
    classifier = Classifier(module, task="multiclass", output_names=["a", "b", "c"], image_size=32)
    statistics = {name: tensor.clone() for name, tensor in module.named_buffers()}
    images = make_batch().images
    wanted = classifier(images)
    for switch in (classifier.train, module.train, classifier.requires_grad_):
        switch()
        assert torch.equal(classifier(images), wanted)
        assert not any(sub_module.training for sub_module in classifier.modules())
    assert all(torch.equal(tensor, statistics[name]) for name, tensor in module.named_buffers())


def test_features_come_with_the_prediction_at_no_change(classifier, make_batch, untouched):
    images = make_batch().images
    with untouched(classifier):
        logits, features = classifier.logits_and_features(images)
    assert torch.equal(logits, classifier.logits(images))
    assert [tuple(maps.shape) for maps in features] == [(8, 4, 32, 32), (8, 8, 16, 16), (8, 16, 8, 8), (8, 32, 4, 4)]
    module = classifier.module
    torch.testing.assert_close(features[0], module.stem((images - 0.5) / 0.25))
    torch.testing.assert_close(features[3], module.stage3(features[2]))
    assert all(torch.equal(one, two) for one, two in zip(classifier.features(images), features, strict=True))
    assert classifier.cam_layer is module.stage3


def test_layers_come_in_the_order_asked_for(classifier, make_batch):
    images = make_batch(n=2).images
    _, features = classifier.logits_and_features(images, layers=["stage2", "stem"])
    assert [maps.shape[1] for maps in features] == [16, 4]


def test_hooks_are_gone_after_a_failure(classifier, make_batch, untouched):
    with untouched(classifier), pytest.raises(AttributeError):
        classifier.logits_and_features(make_batch(n=1).images, layers=["stem", "no such layer"])
    with untouched(classifier), pytest.raises(RuntimeError):
        classifier.logits_and_features(torch.zeros(1, 5, 32, 32))


def test_layers_may_be_chosen():
    def wrap(*layers: str) -> Classifier:
        module = SmallResNet(2, 3, width=8)
        return Classifier(module, task="multiclass", output_names=["a", "b"], image_size=32, feature_layers=layers)

    classifier = wrap("stage1", "stage2.conv1")
    assert [tuple(maps.shape) for maps in classifier.features(torch.rand(1, 3, 32, 32))] == [
        (1, 8, 16, 16),
        (1, 16, 8, 8),
    ]
    assert classifier.cam_layer is classifier.module.stage2.conv1
    with pytest.raises(InputError, match=r"no layer 'stage7'; it has .*stage3"):
        _ = wrap("stage1", "stage7").feature_layers


def test_fingerprint_hears_every_change_and_nothing_else(make_classifier):
    classifier = make_classifier()
    wanted = classifier.fingerprint
    assert len(wanted) == 32
    assert make_classifier().fingerprint == wanted
    for parameter in classifier.parameters():
        parameter.grad = torch.ones_like(parameter)
        parameter.requires_grad_(False)
    classifier.train()
    assert classifier.fingerprint == wanted
    weight = classifier.module.stage2.conv1.weight
    old = weight[0, 0, 0, 0].clone()
    weight[0, 0, 0, 0] += 1e-6
    assert classifier.fingerprint != wanted
    weight[0, 0, 0, 0] = old
    assert classifier.fingerprint == wanted
    classifier.module.stage1.norm1.running_mean[0] += 1e-6
    assert classifier.fingerprint != wanted


def test_fingerprint_knows_task_names_and_normalization(make_classifier):
    module = make_classifier().module

    def wrap(task: Task = Task.MULTICLASS, names: tuple[str, ...] = ("a", "b", "c"), mean: float = 0.5) -> str:
        return Classifier(module, task=task, output_names=names, mean=(mean,)).fingerprint

    assert len({wrap(), wrap(task=Task.MULTILABEL), wrap(names=("a", "c", "b")), wrap(mean=0.4)}) == 4


def test_fingerprint_does_not_depend_on_memory_layout(classifier):
    wanted = classifier.fingerprint
    classifier.to(memory_format=torch.channels_last)
    assert classifier.fingerprint == wanted
