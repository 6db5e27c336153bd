"""The training of a decoder, step by step."""

import pytest
import torch

from xaibench.datasets import InputError, Task
from xaibench.explainers.nem import training
from xaibench.explainers.nem.training import DecoderTraining, frozen_parameters, select_target_scores


def test_scores_are_gathered_per_row():
    scores, targets = torch.rand(6, 4), torch.tensor([3, 0, 0, 1, 2, 3])
    found = select_target_scores(scores, targets)
    assert found.shape == (6,)
    assert found.tolist() == [float(scores[row, int(target)]) for row, target in enumerate(targets)]


def test_frozen_parameters_get_no_gradient_and_their_switches_back(classifier, make_batch, untouched):
    next(classifier.parameters()).requires_grad_(False)
    images = make_batch(n=2).images.requires_grad_()
    with untouched(classifier):
        with frozen_parameters(classifier):
            assert not any(parameter.requires_grad for parameter in classifier.parameters())
            classifier(images).sum().backward()
        assert images.grad is not None
        with pytest.raises(RuntimeError, match="inside"), frozen_parameters(classifier):
            raise RuntimeError("inside")


def draw(scores: torch.Tensor, task: Task, share: float) -> torch.Tensor:
    return training._draw_targets(scores, task, share, torch.Generator().manual_seed(77))


def test_multiclass_images_are_asked_for_what_the_classifier_sees():
    scores = torch.rand(200, 5, generator=torch.Generator().manual_seed(0))
    predicted = scores.argmax(dim=1)
    assert torch.equal(draw(scores, Task.MULTICLASS, 0.0), predicted)
    assert set(draw(scores, Task.MULTICLASS, 1.0).tolist()) == set(range(5))
    # A quarter is asked for any of five targets: a fifth of these are the prediction by chance.
    agreement = float((draw(scores, Task.MULTICLASS, 0.25) == predicted).float().mean())
    assert agreement == pytest.approx(0.75 + 0.25 / 5, abs=0.1)


def test_multilabel_images_are_asked_for_any_present_label():
    scores = torch.tensor([[0.9, 0.1, 0.8]]).expand(400, 3)
    targets = draw(scores, Task.MULTILABEL, 0.0)
    assert set(targets.tolist()) == {0, 2}
    assert float((targets == 0).float().mean()) == pytest.approx(0.5, abs=0.1)
    nothing = draw(torch.full((200, 3), 0.1), Task.MULTILABEL, 0.0)
    assert set(nothing.tolist()) == {0, 1, 2}


def test_regression_images_are_asked_for_any_output():
    assert set(draw(torch.rand(200, 3), Task.REGRESSION, 0.0).tolist()) == {0, 1, 2}


def test_every_image_comes_once_an_epoch(make_blobs):
    blobs = make_blobs(n_images=10)
    batches = training._image_batches(blobs, 4, torch.Generator().manual_seed(0))
    seen = torch.cat([next(batches) for _ in range(5)])
    first, second = (sorted(float(image.sum()) for image in seen[place]) for place in (slice(0, 10), slice(10, 20)))
    assert first == second == sorted(float(blobs[i].image.sum()) for i in range(10))


def test_batches_may_be_larger_than_the_dataset(make_blobs):
    batches = training._image_batches(make_blobs(n_images=3), 8, torch.Generator().manual_seed(0))
    assert next(batches).shape == (8, 3, 32, 32)


def test_mixed_fills_draw_all_three(classifier, make_batch):
    images = make_batch(n=2).images
    generator = torch.Generator().manual_seed(0)
    kinds = {"mean": 0, "blur": 0, "noise": 0}
    for _ in range(200):
        fill = training._draw_fill(images, classifier, "mixed", generator)
        assert fill.shape == images.shape
        kinds["mean" if (fill == 0.5).all() else "blur" if fill.std() > 0.11 else "noise"] += 1
    assert kinds["mean"] == pytest.approx(100, abs=30)
    assert kinds["blur"] == pytest.approx(60, abs=30)
    assert kinds["noise"] == pytest.approx(40, abs=30)
    assert (training._draw_fill(images, classifier, "mean", generator) == 0.5).all()


def test_spread_is_the_standard_deviation_of_each_output(make_classifier, make_blobs):
    classifier, blobs = make_classifier(task=Task.REGRESSION), make_blobs(n_images=40)
    found = training._output_spread(classifier, blobs, n_images=35)
    images = torch.stack([blobs[i].image for i in range(35)])
    with torch.no_grad():
        wanted = classifier.scores(images).std(dim=0, correction=0)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert training._output_spread(classifier, make_blobs(n_images=1)).tolist() == pytest.approx([1e-6] * 3)


@pytest.mark.parametrize("changes", [{"steps": 0}, {"batch_size": 0}, {"random_target_share": 1.5}])
def test_settings_that_cannot_be_used_are_refused(changes):
    with pytest.raises(InputError, match=f"{next(iter(changes))} is .*; wanted"):
        DecoderTraining(**changes)
