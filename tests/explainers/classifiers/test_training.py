"""Training of classifiers."""

import random

import numpy as np
import pytest
import torch

from xaibench.datasets import InputError, Task
from xaibench.explainers import (
    Architecture,
    ClassifierTraining,
    evaluate_classifier,
    measure_performance,
    train_classifier,
)
from xaibench.explainers.augmentation import augmented
from xaibench.explainers.classifiers.training import _class_weights

SMALL = Architecture(type="small_resnet", params={"width": 8})


def quick(**changes) -> ClassifierTraining:
    return ClassifierTraining(**{"epochs": 1, "batch_size": 16, "learning_rate": 0.01} | changes)


@pytest.fixture(scope="module")
def trained(make_blobs):
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    result = train_classifier(
        SMALL,
        train=make_blobs(n_images=96),
        validation=make_blobs(n_images=48, seed=1),
        settings=quick(epochs=4),
    )
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), states[2])
    return result


def test_it_learns(trained, make_blobs):
    classifier, record = trained
    performance = evaluate_classifier(classifier, make_blobs(n_images=60, seed=2))
    assert performance.balanced_accuracy > 0.8
    assert performance.beats_chance
    assert record["validation"]["balanced_accuracy"] > 0.8


def test_what_comes_out_is_clean(trained):
    classifier, _ = trained
    assert not any(module.training for module in classifier.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in classifier.parameters())
    assert classifier.output_names == ("dark", "bright", "striped")
    assert (classifier.channels, classifier.image_size, classifier.task) == (3, 32, Task.MULTICLASS)


def test_the_record_tells_the_story(trained, make_blobs):
    classifier, record = trained
    validation = make_blobs(n_images=48, seed=1)
    assert record["dataset_fingerprint"] == make_blobs(n_images=96).info.fingerprint
    assert record["validation_dataset_fingerprint"] == validation.info.fingerprint
    assert record["settings"]["epochs"] == 4
    assert [point["epoch"] for point in record["curve"]] == [1, 2, 3, 4]
    assert record["curve"][-1]["loss"] < record["curve"][0]["loss"]
    assert record["train_seconds"] > 0
    # The epoch that validates best is kept, not the last.
    assert record["validation"]["balanced_accuracy"] == max(p["balanced_accuracy"] for p in record["curve"])
    assert evaluate_classifier(classifier, validation).as_dict() == pytest.approx(record["validation"], abs=1e-6)


def test_the_same_seed_gives_the_same_bytes(make_blobs):
    def fingerprint(seed: int, noise: int) -> str:
        torch.manual_seed(noise)
        blobs = make_blobs(n_images=24)
        return train_classifier(SMALL, train=blobs, validation=blobs, settings=quick(seed=seed))[0].fingerprint

    assert fingerprint(0, noise=1) == fingerprint(0, noise=2)
    assert fingerprint(0, noise=1) != fingerprint(1, noise=1)


@pytest.mark.parametrize("task", [Task.MULTILABEL, Task.REGRESSION])
def test_other_tasks(make_blobs, task):
    blobs = make_blobs(n_images=48, task=task)
    classifier, record = train_classifier(SMALL, train=blobs, validation=blobs, settings=quick(epochs=5, batch_size=8))
    assert classifier.task is task
    assert record["curve"][-1]["loss"] < record["curve"][0]["loss"]
    assert record["validation"]["chance_p_value"] < 0.05


@pytest.mark.parametrize("n_images", [1, 4, 5, 6, 11])
def test_any_number_of_steps(make_blobs, n_images):
    blobs = make_blobs(n_images=n_images)
    settings = quick(batch_size=1 if n_images < 11 else 2)
    train_classifier(SMALL, train=blobs, validation=blobs, settings=settings)


def test_feature_layers_may_be_named(make_blobs):
    blobs = make_blobs(n_images=8)
    params = {"model": "resnet10t", "feature_layers": ("layer2", "layer4")}
    architecture = Architecture(type="timm", params=params)
    classifier, _ = train_classifier(architecture, train=blobs, validation=blobs, settings=quick(batch_size=4))
    assert classifier.feature_layers == ("layer2", "layer4")


def test_one_channel_and_workers(make_blobs):
    blobs = make_blobs(n_images=8, channels=1)
    alone, helped = (
        train_classifier(SMALL, train=blobs, validation=blobs, settings=quick(workers=workers))[0].fingerprint
        for workers in (0, 1)
    )
    assert alone == helped


def test_classes_are_weighted_by_the_inverse_of_their_frequency(make_blobs):
    class Skewed(type(make_blobs())):
        def outputs(self) -> torch.Tensor:
            return torch.eye(3)[[0, 0, 0, 0, 0, 0, 1, 1, 1, 2]]

    weights = _class_weights(Skewed(n_images=10))
    torch.testing.assert_close(weights, torch.tensor([10 / 18, 10 / 9, 10 / 3]))
    assert float((weights * torch.tensor([6.0, 3, 1])).sum()) == pytest.approx(10)


def test_present_labels_are_weighted_by_negatives_per_positive(make_blobs):
    class Skewed(type(make_blobs())):
        def outputs(self) -> torch.Tensor:
            return torch.tensor([[1.0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1]])

    weights = _class_weights(Skewed(task=Task.MULTILABEL))
    # A label that never occurs counts as if once, one that always does keeps some weight.
    torch.testing.assert_close(weights, torch.tensor([3.0, 3.0, 0.25]))
    assert _class_weights(make_blobs(task=Task.REGRESSION)) is None


def test_a_loss_that_is_no_number_stops_with_a_remedy(make_blobs):
    blobs = make_blobs(task=Task.REGRESSION)
    with pytest.raises(InputError, match=r"the training loss became .* lower learning_rate"):
        train_classifier(SMALL, train=blobs, validation=blobs, settings=quick(learning_rate=1e30, epochs=3))


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
def test_settings_that_cannot_be_used_are_refused(name):
    with pytest.raises(InputError, match=f"{name} is 0; wanted at least 1"):
        ClassifierTraining(**{name: 0})


def test_images_of_different_sizes_are_refused(make_blobs):
    class AnySize(type(make_blobs())):
        @property
        def info(self):
            from dataclasses import replace

            return replace(super().info, image_size=None)

    with pytest.raises(InputError, match="images of blobs differ in size; give the dataset an image_size"):
        train_classifier(SMALL, train=AnySize(), validation=AnySize(), settings=quick())


def test_evaluation_is_limited_and_does_not_depend_on_the_batch_size(classifier, blobs):
    whole = evaluate_classifier(classifier, blobs, batch_size=24)
    assert evaluate_classifier(classifier, blobs, batch_size=5).auc == pytest.approx(whole.auc)
    limited = evaluate_classifier(classifier, blobs, batch_size=4, limit=10)
    assert limited.n_samples == 10
    images = torch.stack([blobs[i].image for i in range(10)])
    outputs = torch.stack([blobs[i].outputs for i in range(10)])
    with torch.no_grad():
        wanted = measure_performance(classifier.scores(images), outputs, task=Task.MULTICLASS)
    assert limited == wanted


def test_augmentation_moves_pixels_only():
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    torch.manual_seed(0)
    for kind, wanted in (("none", 1), ("mirror", 2), ("flips", 8)):
        seen = {tuple(augmented(image, kind).flatten().tolist()) for _ in range(200)}
        assert len(seen) == wanted
        assert all(sorted(pixels) == list(range(16)) for pixels in seen)
