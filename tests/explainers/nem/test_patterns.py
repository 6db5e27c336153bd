"""The class that a classifier answers for want of evidence, and what is asked about it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from xaibench.datasets import Task
from xaibench.explainers import Classifier, NemtExplainer
from xaibench.explainers.fills import blur_fill
from xaibench.explainers.nem.batches import stream
from xaibench.explainers.nem.judging import judge
from xaibench.explainers.nem.patterns import draw_patterns, repeated_patches
from xaibench.explainers.nem.settings import DecoderTraining
from xaibench.explainers.nem.teachers import ScoreTeacher

QUICK = {"steps": 4, "batch_size": 6, "widths": (6, 4), "validation_images": 0}


class Plain(torch.nn.Module):
    """Class 1 grows with contrast between neighbours, class 2 with darkness; class 0 is what remains."""

    def forward(self, images: Tensor) -> Tensor:
        contrast = images.diff(dim=-1).abs().mean(dim=(1, 2, 3))
        darkness = -images.mean(dim=(1, 2, 3))  # below mean colour, which is 0 here
        return torch.stack([torch.full_like(contrast, 4.0), 16 * contrast, 9 * darkness], dim=1)


def classifier_of(task: Task) -> Classifier:
    return Classifier(Plain(), task=task, output_names=["nothing", "stripes", "dark"], mean=(0.9,), std=(1.0,))


@pytest.mark.parametrize(("height", "width", "side"), [(16, 16, 4), (12, 20, 3), (3, 5, 1)])
def test_the_patch_with_most_evidence_is_mirrored_over_the_image(height, width, side):
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    logits = torch.full((2, height, width), -4.0)
    tops, lefts = [1, height - side], [width - side, 0]
    for logit, top, left in zip(logits, tops, lefts, strict=True):
        logit[top : top + side, left : left + side] = 4.0
    found = repeated_patches(images, logits)
    for image, pattern, top, left in zip(images, found, tops, lefts, strict=True):
        patch = image[:, top : top + side, left : left + side].numpy()
        wanted = np.pad(patch, ((0, 0), (0, height - side), (0, width - side)), mode="symmetric")
        assert torch.equal(pattern, torch.from_numpy(wanted))


def test_patterns_come_from_images_in_which_the_target_is_weaker():
    images = torch.arange(4.0)[:, None, None, None].expand(4, 3, 8, 8) / 4  # each of one colour, as is its pattern
    weaker = torch.tensor([[0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]], dtype=torch.bool)
    logits = torch.zeros(4, 8, 8, requires_grad=True)
    partners = set()
    for seed in range(30):
        generator = torch.Generator().manual_seed(seed)
        patterns = draw_patterns(images, logits=logits, weaker=weaker, generator=generator)
        assert torch.equal(patterns[2:], images[[3, 0]])
        assert not patterns.requires_grad
        partners.add(round(float(patterns[0, 0, 0, 0]) * 4))
    assert partners == {1, 2}


@pytest.mark.parametrize(
    ("task", "wanted"),
    [(Task.MULTICLASS, [True, False, True]), (Task.MULTILABEL, [False] * 3), (Task.REGRESSION, [False] * 3)],
)
def test_a_class_that_mean_colour_or_blur_leaves_has_no_evidence(task, wanted):
    classifier = classifier_of(task)
    images = torch.full((3, 3, 16, 16), 0.95)
    images[1] = torch.tensor([0.5, 1.0]).repeat(8)  # neither mean colour nor blur has stripes
    images[2] = 0.1  # mean colour is bright, what is blurred is dark as before
    teacher = ScoreTeacher(classifier, random_target_share=0.0)
    _, question = teacher.ask(images, layers=[], generator=torch.Generator().manual_seed(0))
    if task is Task.MULTICLASS:
        assert question.targets.tolist() == [0, 1, 2]
    question = replace(question, targets=torch.tensor([0, 1, 2] if task is not Task.REGRESSION else [0, 0, 0]))
    assert teacher.answers_without_content(question, images).tolist() == wanted


class DimOrNothing(torch.nn.Module):
    """Class 1 is dimness without contrast; class 0 is what remains."""

    def forward(self, images: Tensor) -> Tensor:
        contrast = images.diff(dim=-1).abs().mean(dim=(1, 2, 3))
        return torch.stack([torch.full_like(contrast, 4.0), 60 * (-images.mean(dim=(1, 2, 3)) - contrast)], dim=1)


def test_mean_colour_alone_suffices():
    classifier = Classifier(
        DimOrNothing(), task=Task.MULTICLASS, output_names=["nothing", "dim"], mean=(0.9,), std=(1,)
    )
    images = torch.tensor([0.5, 1.0]).repeat(8).expand(1, 3, 16, 16)  # what is blurred is dim
    assert classifier.scores(images).argmax(dim=1) == 0
    assert classifier.scores(blur_fill(images)).argmax(dim=1) == 1
    teacher = ScoreTeacher(classifier, random_target_share=0.0)
    _, question = teacher.ask(images, layers=[], generator=torch.Generator().manual_seed(0))
    assert teacher.answers_without_content(question, images).tolist() == [True]


def judged(classifier, blobs, *, patterns):
    """Terms of a batch whose every image is asked for an area, and the teacher's verdict on them."""
    explainer = NemtExplainer(classifier, **QUICK)
    network = explainer._build()
    images = torch.stack([blobs[index].image for index in range(6)])
    settings = DecoderTraining(
        ranking_share=0.0, random_target_share=0.0, removals=("noise", "other"), patterns=patterns
    )
    seen = []

    class Listener(ScoreTeacher):
        def terms(self, question, *, images, masks, fill):
            terms = super().terms(question, images=images, masks=masks, fill=fill)
            seen.append((question, fill, terms))
            return terms

    listener = Listener(classifier, random_target_share=0.0)
    terms, _ = judge(network, listener, images, settings=settings, generator=stream(0, 0))
    question, fill, before = seen[0]
    return terms, before, fill, listener.answers_without_content(question, images) & question.weaker.any(dim=1)


@pytest.fixture
def answers_nothing(make_classifier, make_blobs):
    """An untrained network that predicts two classes of the blobs, one of them for want of evidence."""
    for seed in range(20):
        classifier, blobs = make_classifier(seed=seed), make_blobs(n_images=6)
        is_pattern = judged(classifier, blobs, patterns=True)[3]
        if is_pattern.any() and not is_pattern.all():
            return classifier
    pytest.fail("no classifier answers one of these classes for want of evidence")


def test_a_class_without_evidence_need_not_be_kept_amid_a_pattern(answers_nothing, make_blobs):
    blobs = make_blobs(n_images=6)
    terms, before, fill, is_pattern = judged(answers_nothing, blobs, patterns=True)
    assert (terms.preservation[is_pattern] == 0).all()
    assert torch.equal(terms.preservation[~is_pattern], before.preservation[~is_pattern])
    for name in ("area", "deletion", "leakage"):
        assert torch.equal(getattr(terms, name), getattr(before, name))
    plain = judged(answers_nothing, blobs, patterns=False)
    changed = (plain[2] != fill).flatten(1).any(dim=1)
    assert torch.equal(changed, is_pattern)


def is_taught_alike(classifier, blobs) -> bool:
    """Whether fits with and without patterns end with the same weights."""
    weights = []
    for patterns in (False, True):
        explainer = NemtExplainer(classifier, **QUICK, patterns=patterns)
        explainer.fit(blobs)
        weights.append(explainer._network.state_dict())
    return all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_such_a_class_is_taught_otherwise_in_a_fit(answers_nothing, make_blobs):
    assert not is_taught_alike(answers_nothing, make_blobs(n_images=6))


@pytest.mark.parametrize("task", [Task.MULTILABEL, Task.REGRESSION])
def test_labels_and_values_are_taught_as_without_patterns(make_classifier, make_blobs, task):
    assert is_taught_alike(make_classifier(task=task), make_blobs(n_images=12))
