"""Insertion and deletion: the definition written as a loop, its cost, its rule for ties and for regression."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from xaibench.benchmark.metrics import METRICS, ScoringContext
from xaibench.benchmark.metrics.answers import filled_case, retained
from xaibench.benchmark.metrics.ranking import level_counts, ranked_pixels
from xaibench.benchmark.prepare import prepare
from xaibench.datasets import CaseBatch, InputError, Task
from xaibench.explainers import Classifier
from xaibench.explainers.fills import FillName, blur_fill

from .scored_cases import falling_batch, random_batch, tiny_classifier

NAMES = ("insertion_auc", "deletion_auc", "insertion_minus_deletion")
FILLS = get_args(FillName)


class Counting(nn.Module):
    """A classifier's module that counts the images it is shown and its calls."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.images, self.calls = 0, 0

    def forward(self, images: Tensor) -> Tensor:
        self.images += len(images)
        self.calls += 1
        found: Tensor = self.module(images)
        return found


def score(name: str, raw: Tensor, batch: CaseBatch, *, classifier: Classifier, **params: Any) -> Tensor:
    metric = METRICS.create(name, **params)
    return metric.score(prepare(raw, chain="positive"), batch, context=ScoringContext(classifier=classifier))


def area_by_definition(
    values: Tensor, image: Tensor, fill: Tensor, target: int, *, classifier: Classifier, insert: bool, steps: int
) -> float:
    """One image at a time, one pixel at a time, trapezoids added by hand; for maps without ties."""
    height, width = values.shape
    places = sorted(((float(values[i, j]), i, j) for i in range(height) for j in range(width)), reverse=True)
    current = (fill if insert else image).clone()
    fractions, answers, done = [], [], 0
    for level in range(steps + 1):
        wanted = round(level * len(places) / steps)
        for _, i, j in places[done:wanted]:
            current[:, i, j] = (image if insert else fill)[:, i, j]
        done = wanted
        fractions.append(done / len(places))
        with torch.no_grad():
            answers.append(float(classifier.scores(current[None])[0, target]))
    area = 0.0
    for level in range(steps):
        area += (fractions[level + 1] - fractions[level]) * (answers[level] + answers[level + 1]) / 2
    return area


@pytest.mark.parametrize(
    ("fill", "steps", "task"),
    [
        ("mean", 64, Task.MULTICLASS),
        ("mean", 1, Task.MULTILABEL),
        ("image_mean", 7, Task.MULTICLASS),
        ("blur", 7, Task.MULTILABEL),
    ],
)
def test_areas_equal_the_definition(fill: FillName, steps: int, task: Task) -> None:
    classifier = tiny_classifier(task=task)
    raw, batch = falling_batch(3, classifier=classifier, fills=[fill], seed=5, side=7)
    raw = raw.abs() + 0.1  # no zeros, so no ties
    scores = [score(name, raw, batch, classifier=classifier, fill=fill, steps=steps) for name in NAMES]
    for index, case in enumerate(batch.cases):
        image = case.sample.image
        absent = {
            "mean": torch.full_like(image, 0.5),
            "image_mean": image.mean((1, 2), keepdim=True).expand_as(image),
            "blur": blur_fill(image[None])[0],
        }[fill]
        insertion, deletion = (
            area_by_definition(
                raw[index], image, absent, case.target, classifier=classifier, insert=insert, steps=steps
            )
            for insert in (True, False)
        )
        assert [float(own[index]) for own in scores] == pytest.approx(
            [insertion, deletion, insertion - deletion], abs=1e-6
        )
    assert len(set(scores[0].tolist())) == 3, "maps that all score the same show nothing"


@pytest.mark.parametrize("fill", FILLS)
def test_the_three_share_passes_and_a_case_costs_at_most_130(fill: FillName) -> None:
    classifier = tiny_classifier()
    raw, batch = falling_batch(2, classifier=classifier, fills=[fill])
    classifier.module = counting = Counting(classifier.module)
    context, prepared = ScoringContext(classifier=classifier), prepare(raw, chain="positive")
    for name in NAMES:
        METRICS.create(name, fill=fill).score(prepared, batch, context=context)
    assert counting.images == 2 * (128 + 2)
    assert counting.calls == 2 * (2 + 1), "full batches of 64, and the two ends that say whether there is a fall"


def test_other_maps_or_settings_are_never_given_stored_curves() -> None:
    classifier = tiny_classifier()
    raw, batch = falling_batch(2, classifier=classifier, fills=["mean", "blur"])
    context = ScoringContext(classifier=classifier)
    for maps, params in ((raw, {}), (raw.flip(1), {}), (raw, {"fill": "blur"}), (raw, {"steps": 5})):
        prepared = prepare(maps, chain="positive")
        metric = METRICS.create("insertion_auc", **params)
        fresh = metric.score(prepared, batch, context=ScoringContext(classifier=classifier))
        assert torch.equal(metric.score(prepared, batch, context=context), fresh)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("name", NAMES)
def test_a_uniform_map_scores_chance_which_is_a_random_ranking(name: str, fill: FillName) -> None:
    classifier = tiny_classifier()
    _, batch = falling_batch(4, classifier=classifier, fills=[fill])
    chance = METRICS.create(name, fill=fill).chance(batch, context=ScoringContext(classifier=classifier))
    uniform = torch.full((4, 8, 8), 0.3)
    assert torch.equal(score(name, uniform, batch, classifier=classifier, fill=fill), chance)
    if name == "insertion_minus_deletion":
        assert chance.abs().max() < 0.35, "a random ranking gains as little as it loses, up to noise"


def test_the_right_ranking_beats_chance_and_the_reverse_loses() -> None:
    """A classifier that adds up two pixels: the map that names them is the best there is."""
    _, batch = random_batch(3)
    weights = torch.zeros(3, 3 * 64)
    weights[0, [10, 20]] = 20.0
    linear = nn.Linear(3 * 64, 3)
    with torch.no_grad():
        linear.weight.copy_(weights)
        linear.bias.zero_()
    classifier = Classifier(
        nn.Sequential(nn.Flatten(), linear), task=Task.MULTILABEL, output_names=["a", "b", "c"], std=(1.0,)
    )
    images = batch.images.clone()
    images[:, 0].view(3, -1)[:, [10, 20]] = 1.0
    for case, image in zip(batch.cases, images, strict=True):
        case.sample.image.copy_(image)
    right = torch.zeros(3, 64)
    right[:, [10, 20]] = 1.0
    best = score("insertion_minus_deletion", right.view(3, 8, 8), batch, classifier=classifier)
    worst = score("insertion_minus_deletion", 1 - right.view(3, 8, 8) + 1e-3, batch, classifier=classifier)
    chance = METRICS.create("insertion_minus_deletion").chance(batch, context=ScoringContext(classifier=classifier))
    assert (best > 0.45).all()
    assert (worst < -0.45).all()
    assert ((chance < best) & (chance > worst)).all()


def test_ties_are_broken_at_random_but_alike_for_every_map_of_a_case() -> None:
    _, batch = random_batch(2, side=20)
    one, other = batch.cases
    flat = torch.zeros(20, 20)
    order = ranked_pixels(flat, case=one)
    assert sorted(order.tolist()) == list(range(400))
    assert torch.equal(order, ranked_pixels(flat + 1, case=one))
    assert not torch.equal(order, ranked_pixels(flat, case=other))
    # No place in memory is preferred: the first half of the ranking lies in the first half of memory half of the time.
    assert 0.4 < float((order[:200] < 200).float().mean()) < 0.6
    top = flat.clone()
    top[3, 4] = 1.0
    assert int(ranked_pixels(top, case=one)[0]) == 3 * 20 + 4
    rest = ranked_pixels(top, case=one)[1:]
    assert torch.equal(rest, order[order != 64]), "a value of its own leaves the order of the others alone"


def test_levels_are_evenly_spaced_and_end_with_all_pixels() -> None:
    assert level_counts(64, steps=4).tolist() == [0, 16, 32, 48, 64]
    counts = level_counts(50176, steps=64)
    assert counts.tolist() == [round(50176 * k / 64) for k in range(65)]
    assert level_counts(4, steps=64)[[0, -1]].tolist() == [0, 4]


def test_regression_retains_a_share_of_the_change() -> None:
    full, empty = torch.tensor(3.0, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64)
    scores = torch.tensor([3.0, 1.0, 2.0, 4.0, 7.0], dtype=torch.float64)
    found = retained(scores, full=full, empty=empty, task=Task.REGRESSION)
    assert found.tolist() == [1.0, 0.0, 0.5, 1.0, 1.0]
    assert torch.equal(retained(scores, full=full, empty=empty, task=Task.MULTICLASS), scores)
    unmoved = retained(scores, full=full, empty=full, task=Task.REGRESSION)
    assert unmoved.tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]


def regression(*, factor: float = 1.0) -> Classifier:
    """A classifier with values whose unit and offset are other ones."""
    classifier = tiny_classifier(task=Task.REGRESSION)
    with torch.no_grad():
        classifier.module[-1].weight.mul_(factor)  # type: ignore[index, union-attr, operator]
        classifier.module[-1].bias.add_(4)  # type: ignore[index, union-attr, operator]
    return classifier


def test_regression_scores_do_not_depend_on_unit_or_offset_of_the_output() -> None:
    raw, batch = random_batch(12)
    for name in NAMES:
        found = score(name, raw, batch, classifier=regression(factor=250))
        plain = score(name, raw, batch, classifier=tiny_classifier(task=Task.REGRESSION))
        torch.testing.assert_close(found, plain, atol=1e-3, rtol=1e-3, equal_nan=True)
        assert found[found.isfinite()].std() > 0


@pytest.mark.parametrize("fill", ["image_mean", "blur"])  # the others lower all of these cases alike, or none
@pytest.mark.parametrize("task", [Task.MULTICLASS, Task.MULTILABEL])
def test_a_fill_that_leaves_the_probability_asks_nothing(fill: FillName, task: Task) -> None:
    raw, batch = random_batch(24)
    classifier = tiny_classifier(task=task)
    context = ScoringContext(classifier=classifier)
    metric = METRICS.create("insertion_minus_deletion", fill=fill, steps=4)
    filled = torch.stack([filled_case(case, fill=fill, classifier=classifier) for case in batch.cases])
    with torch.no_grad():
        falls = (classifier.scores(batch.images) - classifier.scores(filled))[:, 0]
    applicable = metric.applicable(batch, context=context)
    assert applicable.tolist() == (falls > 0.1).tolist()
    assert 0 < applicable.sum() < (falls > 0).sum(), "some fall, and some of them by too little"
    found = metric.score(prepare(raw, chain="positive"), batch, context=context)
    assert found.isfinite().tolist() == applicable.tolist()
    assert metric.chance(batch, context=context).isfinite().tolist() == applicable.tolist()


@pytest.mark.parametrize("fill", FILLS)
def test_a_fill_that_does_not_lower_a_value_asks_nothing(fill: FillName) -> None:
    raw, batch = random_batch(12)
    prepared = prepare(raw, chain="positive")
    metric = METRICS.create("insertion_minus_deletion", fill=fill, steps=4)
    lowered = []
    for factor in (1.0, -1.0):
        context = ScoringContext(classifier=regression(factor=factor))
        applicable = metric.applicable(batch, context=context)
        assert metric.score(prepared, batch, context=context).isfinite().tolist() == applicable.tolist()
        assert metric.chance(batch, context=context).isfinite().tolist() == applicable.tolist()
        lowered.append(applicable)
    # What lowers a value raises its negative: every case is asked about in exactly one of the two directions.
    assert torch.equal(lowered[0], ~lowered[1])


def test_a_fall_of_less_than_a_tenth_of_the_spread_asks_nothing() -> None:
    _, batch = random_batch(12)
    classifier, metric = regression(), METRICS.create("insertion_auc")
    mean = classifier.mean.expand_as(batch.images)
    falls = (classifier.scores(batch.images) - classifier.scores(mean))[:, 0].detach()
    spread = 10 * falls[falls > 0].median()
    context = ScoringContext(classifier=classifier, output_spread=torch.tensor([float(spread), 1.0, 1.0]))
    found = metric.applicable(batch, context=context)
    assert found.tolist() == (falls > 0.1 * spread).tolist()
    assert 0 < found.sum() < (falls > 0).sum()


@pytest.mark.parametrize("name", NAMES)
def test_wrong_settings_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="steps is 0; wanted at least 1"):
        METRICS.create(name, steps=0)
    with pytest.raises(InputError, match="parameter 'fill' is 'blurr'"):
        METRICS.create(name, fill="blurr")
