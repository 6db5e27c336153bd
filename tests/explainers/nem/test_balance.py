"""Every predicted class is practised as often as any other."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xaibench.datasets import InputError, Task
from xaibench.explainers import NemtExplainer
from xaibench.explainers.nem.balance import balanced_indices, predicted_classes
from xaibench.explainers.nem.teachers import ScoreTeacher


@given(classes=st.lists(st.integers(0, 4), min_size=1, max_size=40), data=st.data())
def test_every_class_comes_equally_often_and_so_do_the_images_of_a_class(classes, data):
    indices = data.draw(st.lists(st.sampled_from(range(len(classes))), unique=True, min_size=1))
    seen = Counter(balanced_indices(indices, classes))
    assert set(seen) == set(indices)
    images_of = Counter(classes[index] for index in indices)
    of_class = Counter({kind: sum(n for index, n in seen.items() if classes[index] == kind) for kind in images_of})
    assert set(of_class.values()) == {max(images_of.values())}
    for kind in images_of:
        times = [n for index, n in seen.items() if classes[index] == kind]
        assert max(times) - min(times) <= 1


def test_nothing_to_balance_is_nothing():
    assert balanced_indices([], [1, 2]) == []


def test_balanced_data_come_once():
    assert sorted(balanced_indices([0, 1, 2, 5], [1, 0, 0, 7, 7, 1])) == [0, 1, 2, 5]


def test_the_classifier_says_what_is_rare(classifier, make_blobs):
    blobs = make_blobs(n_images=40)
    images = torch.stack([blobs[index].image for index in range(40)])
    wanted = classifier.scores(images).argmax(dim=1).tolist()
    labels = [int(blobs[index].outputs.argmax()) for index in range(40)]
    assert predicted_classes(classifier, blobs) == wanted != labels


@pytest.mark.parametrize("members", [1, 2])
def test_a_fit_asks_about_all_predicted_classes_alike(classifier, make_blobs, monkeypatch, members):
    blobs = make_blobs(n_images=40)
    images_of = Counter(predicted_classes(classifier, blobs))
    longest = max(images_of.values())
    assert len(images_of) > 1
    assert min(images_of.values()) < longest
    asked: list[int] = []

    def ask(self, images, **named):
        features, question = unharmed(self, images, **named)
        asked.extend(question.targets.tolist())
        return features, question

    unharmed = ScoreTeacher.ask
    monkeypatch.setattr(ScoreTeacher, "ask", ask)
    # One epoch of each training; nothing is held out, no target is random, and images are as they are.
    settings = {
        "steps": len(images_of),
        "batch_size": longest,
        "validation_images": 0,
        "random_target_share": 0.0,
        "augment": "none",
        "widths": (6, 4),
        "members": members,
    }
    trainings = 1 if members == 1 else members + 1
    explainer = NemtExplainer(classifier, **settings, balance_targets=True)
    explainer.fit(blobs)
    assert Counter(asked) == dict.fromkeys(images_of, trainings * longest)
    assert explainer.fit_record["settings"]["balance_targets"] is True
    asked.clear()
    NemtExplainer(classifier, **settings).fit(blobs)
    assert max(Counter(asked).values()) > trainings * longest


def test_the_passes_that_find_the_classes_are_counted_once(classifier, make_blobs):
    blobs = make_blobs(n_images=30)
    passes = {}
    for members in (1, 2):
        for balance in (False, True):
            explainer = NemtExplainer(
                classifier,
                steps=4,
                batch_size=3,
                validation_images=0,
                removals=("mean",),
                widths=(6, 4),
                members=members,
                balance_targets=balance,
            )
            explainer.fit(blobs)
            passes[members, balance] = explainer.fit_record["fit_forward_passes"]
    assert passes[1, True] == passes[1, False] + 30
    assert passes[2, True] == passes[2, False] + 30


@pytest.mark.parametrize("task", [Task.MULTILABEL, Task.REGRESSION])
def test_without_classes_there_is_nothing_to_balance(make_classifier, task):
    with pytest.raises(InputError, match=rf"the classifier is {task.value}; wanted a multiclass one"):
        NemtExplainer(make_classifier(task=task), balance_targets=True)
