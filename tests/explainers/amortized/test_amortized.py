"""FastSHAP and NN-Explainer: their parts against definitions, and that they learn."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from xaibench.datasets import InputError, Task
from xaibench.explainers import Classifier
from xaibench.explainers.amortized import FastShapExplainer, NnExplainer
from xaibench.explainers.amortized.fast_shap import shapley_coalitions
from xaibench.explainers.amortized.nn_explainer import classification_loss, relative_entropy

BOTH = [FastShapExplainer, NnExplainer]
QUICK = {"steps": 3, "batch_size": 4, "width": 4}


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(2, 20), st.integers(0, 99))
def test_coalitions_come_in_complementary_pairs(n_images, n_pairs, cells, seed):
    generator = torch.Generator().manual_seed(seed)
    found = shapley_coalitions(n_images, 2 * n_pairs, cells=cells, generator=generator)
    assert found.shape == (n_images, 2 * n_pairs, cells)
    assert torch.equal(found[:, ::2] + found[:, 1::2], torch.ones(n_images, n_pairs, cells))
    assert ((found.sum(dim=2) > 0) & (found.sum(dim=2) < cells)).all()


def test_coalition_sizes_follow_the_shapley_kernel():
    found = shapley_coalitions(4000, 2, cells=5, generator=torch.Generator().manual_seed(0))
    shares = torch.bincount(found.sum(dim=2).flatten().long(), minlength=5)[1:5] / 8000
    kernel = torch.tensor([1 / (size * (5 - size)) for size in range(1, 5)])
    torch.testing.assert_close(shares, kernel / kernel.sum(), atol=0.02, rtol=0)


class Corners(nn.Module):
    """Brightness of the first quadrant, minus that of the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        first, last = images[:, :, :16, :16].mean(dim=(1, 2, 3)), images[:, :, 16:, 16:].mean(dim=(1, 2, 3))
        return torch.stack([first - last, last * 0.5], dim=1) * self.scale


def test_fast_shap_learns_shapley_values(blobs):
    names = ["difference", "last"]
    classifier = Classifier(Corners(), task="regression", output_names=names, image_size=32, mean=(0.0,), std=(1.0,))
    explainer = FastShapExplainer(classifier, steps=150, batch_size=16, width=8, grid=2, learning_rate=1e-2)
    explainer.fit(blobs)
    images = torch.stack([blobs[index].image for index in range(4)])
    maps = explainer.explain(images, torch.zeros(4, dtype=torch.int64))
    # The model is a sum, so that each cell's Shapley value is what it adds.
    wanted = torch.zeros(4, 4)
    wanted[:, 0], wanted[:, 3] = images[:, :, :16, :16].mean(dim=(1, 2, 3)), -images[:, :, 16:, 16:].mean(dim=(1, 2, 3))
    found = torch.stack([maps[:, 0, 0], maps[:, 0, 31], maps[:, 31, 0], maps[:, 31, 31]], dim=1)
    assert (found - wanted).abs().max() < 0.15
    torch.testing.assert_close(found.sum(dim=1), wanted.sum(dim=1), atol=1e-5, rtol=1e-4)


def test_values_sum_to_the_change_of_the_score_whatever_was_learned(classifier, blobs, make_batch):
    explainer = FastShapExplainer(classifier, **QUICK, grid=4)
    explainer.fit(blobs)
    batch = make_batch()
    total = explainer.explain(batch.images, batch.targets).mean(dim=(1, 2)) * 16
    with torch.no_grad():
        change = classifier.scores(batch.images) - classifier.scores(torch.full_like(batch.images, 0.5))
    torch.testing.assert_close(total, change.gather(1, batch.targets[:, None])[:, 0], atol=1e-5, rtol=1e-4)


def test_the_losses_of_nn_explainer_by_hand():
    logits, targets = torch.tensor([[1.0, -1.0, 0.0], [2.0, 0.5, -3.0]]), torch.tensor([0, 2])
    chances = logits.softmax(dim=1)
    wanted = -(chances[0, 0].log() + chances[1, 2].log()) / 2
    torch.testing.assert_close(classification_loss(logits, targets, task=Task.MULTICLASS), wanted)
    wanted = (math.log(1 + math.exp(-1.0)) + math.log(1 + math.exp(3.0))) / 2
    assert float(classification_loss(logits, targets, task=Task.MULTILABEL)) == pytest.approx(wanted, abs=1e-5)
    assert float(relative_entropy(torch.zeros(2, 3), targets, task=Task.MULTICLASS)) == pytest.approx(1.0)
    assert float(relative_entropy(torch.zeros(2, 3), targets, task=Task.MULTILABEL)) == pytest.approx(1.0)
    sure = torch.tensor([[50.0, 0.0, 0.0], [0.0, 0.0, 50.0]])
    assert float(relative_entropy(sure, targets, task=Task.MULTICLASS)) == pytest.approx(0.0, abs=1e-6)
    assert float(relative_entropy(sure, targets, task=Task.MULTILABEL)) == pytest.approx(0.0, abs=1e-6)


def test_nn_explainer_lowers_its_loss(classifier, blobs):
    explainer = NnExplainer(classifier, steps=60, batch_size=12, width=8, learning_rate=5e-3)
    explainer.fit(blobs)
    curve = [point["loss"] for point in explainer.fit_record["curve"]]
    assert len(curve) == 60
    assert sum(curve[-10:]) < 0.8 * sum(curve[:10])


@pytest.mark.parametrize("explainer", BOTH)
def test_a_fit_is_stored_and_repeated(explainer, classifier, make_classifier, blobs, make_batch, untouched, tmp_path):
    batch, path = make_batch(n=3), tmp_path / "network.safetensors"
    first, second = explainer(classifier, **QUICK, seed=4), explainer(classifier, **QUICK, seed=4)
    before = classifier.fingerprint
    with untouched(classifier):
        first.fit(blobs)
    assert classifier.fingerprint == before
    second.fit(blobs)
    wanted = batch.explained_by(first)
    assert torch.equal(batch.explained_by(second), wanted)
    first.save(path)
    loaded = explainer.load(path, classifier)
    assert torch.equal(batch.explained_by(loaded), wanted)
    assert loaded.fit_record == first.fit_record
    assert loaded.fit_record["fit_forward_passes"] > 0
    with pytest.raises(InputError, match=r"was fitted on classifier"):
        explainer.load(path, make_classifier(seed=8))


def test_nn_explainer_refuses_regression(make_classifier, make_blobs):
    classifier = make_classifier(task=Task.REGRESSION)
    reason = NnExplainer.unsupported(classifier)
    assert reason is not None
    assert "entropy of classes" in reason
    with pytest.raises(InputError, match="entropy of classes"):
        NnExplainer(classifier, **QUICK).fit(make_blobs())


def test_a_loss_that_is_no_number_is_an_error(classifier, blobs):
    with torch.no_grad():
        classifier.module.head.bias.fill_(math.nan)
    with pytest.raises(InputError, match=r"the loss became nan at step 1; lower learning_rate \(0.002\)"):
        FastShapExplainer(classifier, **QUICK).fit(blobs)


@pytest.mark.parametrize(
    ("explainer", "params"),
    [
        (FastShapExplainer, {"steps": 0}),
        (FastShapExplainer, {"grid": 1}),
        (FastShapExplainer, {"coalitions": 3}),
        (NnExplainer, {"batch_size": 0}),
        (NnExplainer, {"area_weight": -1.0}),
    ],
)
def test_unusable_parameters_are_refused(classifier, explainer, params):
    with pytest.raises(InputError, match=rf"{next(iter(params))} is .*; wanted"):
        explainer(classifier, **params)
