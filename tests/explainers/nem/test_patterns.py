"""The class that a classifier answers for want of evidence, and what is asked about it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from xaibench.datasets import Task
from xaibench.explainers import NemtExplainer
from xaibench.explainers.nem import teachers
from xaibench.explainers.nem.batches import stream
from xaibench.explainers.nem.judging import judge
from xaibench.explainers.nem.patterns import draw_patterns, repeated_patches
from xaibench.explainers.nem.settings import DecoderTraining
from xaibench.explainers.nem.teachers import Question, ScoreTeacher

REMOVALS = ("mean", "noise", "other")
# Of class 0, mean colour and other images give way to patterns, and noise does not.
BY_PATTERN = torch.tensor([[True, False, True], [False, False, False], [False, False, False]])
QUICK = {"steps": 4, "batch_size": 6, "widths": (6, 4), "validation_images": 0, "removals": REMOVALS}


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


def judged(classifier, blobs, *, patterns):
    """Terms of a batch whose every image is asked for an area, the teacher's verdict on them, and its question."""
    settings = DecoderTraining(ranking_share=0.0, random_target_share=0.0, removals=REMOVALS, patterns=patterns)
    network = NemtExplainer(classifier, **QUICK)._build()
    images = torch.stack([blobs[index].image for index in range(len(blobs))])
    seen = []

    class Listener(ScoreTeacher):
        def terms(self, question, *, images, masks, fill):
            terms = super().terms(question, images=images, masks=masks, fill=fill)
            seen.append((question, fill, terms))
            return terms

    listener = Listener(classifier, random_target_share=0.0, pattern_removals=settings.pattern_removals)
    listener.prepare(blobs)
    terms, _ = judge(network, listener, images, settings=settings, generator=stream(0, 0))
    question, fill, before = seen[0]
    return terms, before, fill, question


@pytest.fixture
def answers_nothing(make_classifier, make_blobs, monkeypatch):
    """An untrained network, of one of whose classes it is said that nothing speaks for it."""
    monkeypatch.setattr(teachers, "asked_by_pattern", lambda *_, **__: BY_PATTERN)
    for seed in range(20):
        classifier, blobs = make_classifier(seed=seed), make_blobs(n_images=24)
        question = judged(classifier, blobs, patterns=True)[3]
        is_class = question.targets == 0
        if question.weaker.any(dim=1)[is_class].sum() > 5 and not is_class.all():
            return classifier
    pytest.fail("no classifier predicts class 0 of several images and another one of others")


def test_a_class_without_evidence_need_not_be_kept_amid_a_pattern(answers_nothing, make_blobs):
    blobs = make_blobs(n_images=24)
    terms, before, fill, question = judged(answers_nothing, blobs, patterns=True)
    plain_fill = judged(answers_nothing, blobs, patterns=False)[2]
    is_pattern = (plain_fill != fill).flatten(1).any(dim=1)
    assert is_pattern.any()
    assert (question.targets[is_pattern] == 0).all()
    # Noise, of which the table says that it tells the class, stays.
    assert not is_pattern[question.targets == 0].all()
    assert (terms.preservation[is_pattern] == 0).all()
    assert torch.equal(terms.preservation[~is_pattern], before.preservation[~is_pattern])
    for name in ("area", "deletion", "leakage"):
        assert torch.equal(getattr(terms, name), getattr(before, name))


def test_a_pattern_needs_an_image_in_which_the_target_is_weaker(answers_nothing, make_blobs):
    teacher = ScoreTeacher(answers_nothing, random_target_share=0.0, pattern_removals=REMOVALS)
    teacher.prepare(make_blobs(n_images=3))
    weaker = torch.tensor([[0, 1, 0], [0, 0, 0], [1, 1, 0]], dtype=torch.bool)
    nothing = torch.zeros(3, dtype=torch.int64)
    question = Question(targets=nothing, masks_asked=nothing, present=weaker[0], weaker=weaker, clean=torch.zeros(3, 3))
    assert teacher.wants_pattern(question, torch.tensor([0, 0, 0])).tolist() == [True, False, True]
    assert teacher.wants_pattern(question, torch.tensor([2, 2, 1])).tolist() == [True, False, False]
    of_another_class = replace(question, targets=torch.tensor([1, 0, 2]))
    assert not teacher.wants_pattern(of_another_class, torch.tensor([0, 0, 0])).any()


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


def test_who_wants_no_other_images_gets_no_patterns_of_them():
    assert DecoderTraining().pattern_removals == DecoderTraining().removals
    assert DecoderTraining(removals=("mean", "blur")).pattern_removals == ()
    assert DecoderTraining(patterns=False).pattern_removals == ()


def test_the_record_says_which_classes_were_asked_by_pattern(answers_nothing, make_blobs):
    explainer = NemtExplainer(answers_nothing, **QUICK)
    explainer.fit(make_blobs(n_images=6))
    assert explainer.fit_record["asked_by_pattern"] == {"output0": ["mean", "other"]}


@pytest.mark.parametrize("task", [Task.MULTILABEL, Task.REGRESSION])
def test_labels_and_values_are_taught_as_without_patterns(make_classifier, make_blobs, task):
    assert is_taught_alike(make_classifier(task=task), make_blobs(n_images=12))
