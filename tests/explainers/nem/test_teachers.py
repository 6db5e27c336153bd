"""What the frozen classifier is asked, and how its answers are read."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from xaibench.datasets import InputError, Task
from xaibench.explainers import Classifier
from xaibench.explainers.nem.objective import ObjectiveTerms, probability_terms
from xaibench.explainers.nem.settings import DecoderTraining
from xaibench.explainers.nem.teachers import Question, ScoreTeacher


class Brightness(nn.Module):
    """Logits that grow with the mean of the left and of the right half."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, images: Tensor) -> Tensor:
        left, right = images[..., :4].mean(dim=(1, 2, 3)), images[..., 4:].mean(dim=(1, 2, 3))
        return self.gain * torch.stack([left, right], dim=1)


def classifier_of(task: Task, *, gain: float) -> Classifier:
    return Classifier(Brightness(gain), task=task, output_names=["left", "right"], mean=(0.0,), std=(1.0,))


def judged(classifier: Classifier, temperatures: tuple[float, ...]) -> tuple[ObjectiveTerms, Tensor]:
    """Terms of masks on bright images of which little is removed, and the masks."""
    images = torch.ones(2, 3, 8, 8)
    images[..., 4:] = 0.5
    masks = torch.full((2, 8, 8), 0.1).requires_grad_()
    targets = torch.zeros(2, dtype=torch.int64)
    teacher = ScoreTeacher(classifier, random_target_share=0.0, score_temperatures=temperatures)
    question = Question(
        targets=targets,
        masks_asked=targets,
        present=torch.ones(2, dtype=torch.bool),
        weaker=torch.zeros(2, 2, dtype=torch.bool),
        clean=classifier.logits(images),
    )
    return teacher.terms(question, images=images, masks=masks, fill=torch.zeros_like(images)), masks


@pytest.mark.parametrize("task", [Task.MULTICLASS, Task.MULTILABEL])
def test_a_classifier_that_is_sure_teaches_only_at_a_higher_temperature(task):
    def gradient(temperatures: tuple[float, ...]) -> float:
        terms, masks = judged(classifier_of(task, gain=60.0), temperatures)
        (found,) = torch.autograd.grad(terms.deletion.sum(), masks)
        return float(found.abs().max())

    # The answer is 1 before and after; the mask that is to silence it has nothing to go by.
    assert gradient((1.0,)) < 1e-6
    assert gradient((1.0, 16.0)) > 1e-3


@pytest.mark.parametrize("task", [Task.MULTICLASS, Task.MULTILABEL])
def test_terms_are_averaged_over_temperatures(task):
    classifier = classifier_of(task, gain=3.0)
    found, masks = judged(classifier, (1.0, 4.0))
    images = torch.ones(2, 3, 8, 8)
    images[..., 4:] = 0.5

    def terms_at(temperature: float) -> ObjectiveTerms:
        def scores(seen: Tensor) -> Tensor:
            logits = classifier.logits(seen) / temperature
            return logits.softmax(dim=1) if task is Task.MULTICLASS else logits.sigmoid()

        return probability_terms(
            masks,
            targets=torch.zeros(2, dtype=torch.int64),
            clean=scores(images),
            deleted=scores(images * 0.9),
            preserved=scores(images * 0.1),
            present=torch.ones(2, dtype=torch.bool),
        )

    cool, warm = terms_at(1.0), terms_at(4.0)
    for name in ("area", "deletion", "preservation", "leakage"):
        torch.testing.assert_close(getattr(found, name), (getattr(cool, name) + getattr(warm, name)) / 2)


@pytest.mark.parametrize("task", list(Task))
def test_a_fill_silences_where_the_target_is_weaker_in_it(task):
    classifier = classifier_of(task, gain=6.0)
    # The right half decides for every image, and is what a dark fill takes away; a bright one leaves it.
    images = torch.zeros(3, 3, 8, 8)
    images[..., 4:] = torch.tensor([1.0, 0.8, 0.9])[:, None, None, None]
    fills = torch.stack([images[0], torch.zeros(3, 8, 8)])
    teacher = ScoreTeacher(classifier, random_target_share=0.0)
    _, question = teacher.ask(images, layers=[], generator=torch.Generator().manual_seed(0))
    question = replace(question, targets=torch.ones(3, dtype=torch.int64))
    assert teacher.silenced(question, fills, torch.tensor([1, 0, 0])).tolist() == [True, False, False]


@pytest.mark.parametrize("temperatures", [(), (1.0, 0.0), (-2.0,)])
def test_temperatures_that_cannot_be_used_are_refused(temperatures):
    with pytest.raises(InputError, match=r"score_temperatures are \[.*\]; wanted at least one, each more than 0"):
        DecoderTraining(score_temperatures=temperatures)
