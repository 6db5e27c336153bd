"""Faithfulness: Quantus' public calls where it asks the same, definitions as loops, and a linear classifier."""

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import quantus
import torch
from scipy.stats import pearsonr
from torch import Tensor, nn

from xaibench.benchmark.metrics import METRICS, ScoringContext
from xaibench.benchmark.metrics.answers import scoring_generator
from xaibench.benchmark.metrics.irof import superpixels
from xaibench.benchmark.prepare import prepare
from xaibench.datasets import Case, CaseBatch, InputError, Sample, Task
from xaibench.explainers import Classifier
from xaibench.explainers.fills import blur_fill

from .scored_cases import cases_with, falling_batch, random_batch, tiny_classifier

NAMES = (
    "pixel_flipping",
    "faithfulness_estimate",
    "faithfulness_correlation",
    "infidelity",
    "irof",
    "sufficiency",
    "comprehensiveness",
)


def score(name: str, raw: Tensor, batch: CaseBatch, *, classifier: Classifier, **params: Any) -> list[float]:
    metric = METRICS.create(name, **params)
    context = ScoringContext(classifier=classifier)
    found: list[float] = metric.score(prepare(raw, chain="positive"), batch, context=context).tolist()
    return found


def answer(image: Tensor, case: Case, *, classifier: Classifier) -> float:
    with torch.no_grad():
        return float(classifier.scores(image[None])[0, case.target])


def grey_cases(count: int, *, side: int = 8) -> tuple[Tensor, CaseBatch]:
    """Maps without ties and images of one channel, for which Quantus' features are pixels."""
    generator = torch.Generator().manual_seed(3)
    raw = torch.rand(count, side, side, generator=generator) + 0.1
    return raw, cases_with(torch.ones(count, side, side, dtype=torch.bool), channels=1)


def quantus_score(metric: Any, raw: Tensor, batch: CaseBatch, *, classifier: Classifier) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = metric(
            model=classifier,
            x_batch=batch.images.numpy(),
            y_batch=batch.targets.numpy(),
            a_batch=prepare(raw, chain="positive").maps[:, None].numpy().copy(),
            softmax=True,
            channel_first=True,
        )
    return np.array(found)


QUIET = {"abs": True, "normalise": False, "disable_warnings": True, "perturb_baseline": 0.5}


def test_pixel_flipping_equals_quantus() -> None:
    raw, batch = grey_cases(4)
    classifier = tiny_classifier(task=Task.MULTICLASS, channels=1)
    # Quantus' own area calls a function that NumPy 2.4 no longer has; its curves are what is compared.
    curves = quantus_score(quantus.PixelFlipping(features_in_step=4, **QUIET), raw, batch, classifier=classifier)
    wanted = torch.trapezoid(torch.from_numpy(curves), dx=1 / 15).numpy()
    found = score("pixel_flipping", raw, batch, classifier=classifier, steps=16)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert len(set(found)) == 4


def test_faithfulness_estimate_equals_quantus() -> None:
    raw, batch = grey_cases(4)
    classifier = tiny_classifier(task=Task.MULTICLASS, channels=1)
    theirs = quantus.FaithfulnessEstimate(features_in_step=4, **QUIET)
    wanted = quantus_score(theirs, raw, batch, classifier=classifier)
    found = score("faithfulness_estimate", raw, batch, classifier=classifier, sets=16)
    # A correlation: what differs is the rounding of the classifier's answers, whatever its own size.
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert len(set(found)) == 4


def test_faithfulness_correlation_equals_the_definition() -> None:
    raw, batch = random_batch(3)
    classifier = tiny_classifier()
    found = score("faithfulness_correlation", raw, batch, classifier=classifier, subset_fraction=0.1, runs=12)
    for value, own, case in zip(found, raw, batch.cases, strict=True):
        generator = scoring_generator(case, purpose="faithfulness correlation")
        sums, drops = [], []
        for _ in range(12):
            removed = case.sample.image.clone()
            total = 0.0
            for pixel in torch.randperm(64, generator=generator)[:6].tolist():
                removed[:, pixel // 8, pixel % 8] = 0.5
                total += max(0.0, float(own[pixel // 8, pixel % 8]))
            sums.append(total)
            drops.append(
                answer(case.sample.image, case, classifier=classifier) - answer(removed, case, classifier=classifier)
            )
        assert value == pytest.approx(pearsonr(sums, drops).statistic, abs=1e-4)


def test_infidelity_equals_the_definition() -> None:
    classifier = tiny_classifier()
    raw, batch = falling_batch(3, classifier=classifier, fills=["blur"], side=10)
    metric = METRICS.create("infidelity", patches=9, patch_side=0.3, fill="blur")
    found = score("infidelity", raw, batch, classifier=classifier, patches=9, patch_side=0.3, fill="blur")
    for value, own, case in zip(found, raw.clamp(min=0), batch.cases, strict=True):
        image, fill = case.sample.image, blur_fill(case.sample.image[None])[0]
        relevance, drops = [], []
        for patch in metric._drawn(image.shape[1:], case):  # type: ignore[attr-defined]
            assert int(patch.sum()) == 9
            removed = image.clone()
            removed[:, patch] = fill[:, patch]
            relevance.append(float(own[patch].sum()))
            drops.append(answer(image, case, classifier=classifier) - answer(removed, case, classifier=classifier))
        scale = max(0.0, float(np.linalg.lstsq(np.array(relevance)[:, None], np.array(drops), rcond=None)[0][0]))
        errors = sum((scale * a - b) ** 2 for a, b in zip(relevance, drops, strict=True))
        assert value == pytest.approx(errors / sum(b**2 for b in drops), abs=1e-4)


def test_irof_equals_the_definition() -> None:
    raw, batch = random_batch(3, side=16)
    raw = raw.abs() + 0.1
    for case in batch.cases:  # tiles, of which superpixels can be made
        case.sample.image.copy_(case.sample.image[:, ::4, ::4].repeat_interleave(4, 1).repeat_interleave(4, 2))
    classifier = tiny_classifier()
    found = score("irof", raw, batch, classifier=classifier, segments=9)
    for value, own, case in zip(found, raw, batch.cases, strict=True):
        segments = superpixels(case.sample.image, n_segments=9)
        labels = range(int(segments.max()) + 1)
        assert len(labels) > 3
        current = case.sample.image.clone()
        answers = [answer(current, case, classifier=classifier)]
        for label in sorted(labels, key=lambda k: -float(own[segments == k].mean())):
            current[:, segments == label] = 0.5
            answers.append(answer(current, case, classifier=classifier))
        over = 0.0
        for before, after in itertools.pairwise(answers):
            over += (1 - (before + after) / 2 / answers[0]) / len(labels)
        assert value == pytest.approx(over, abs=1e-5)


@pytest.mark.parametrize("name", ["sufficiency", "comprehensiveness"])
def test_keeping_and_removing_equal_the_definition(name: str) -> None:
    raw, batch = random_batch(3)
    raw = raw.abs() + 0.1
    classifier = tiny_classifier()
    found = score(name, raw, batch, classifier=classifier, fractions=[0.1, 0.5])
    for value, own, case in zip(found, raw, batch.cases, strict=True):
        image, lost = case.sample.image, []
        for count in (6, 32):
            top = own >= own.flatten().sort(descending=True).values[count - 1]
            changed = image.clone()
            changed[:, ~top if name == "sufficiency" else top] = 0.5
            lost.append(answer(image, case, classifier=classifier) - answer(changed, case, classifier=classifier))
        assert value == pytest.approx(sum(lost) / 2, abs=1e-6)


def test_keeping_everything_loses_nothing_and_removing_everything_all() -> None:
    raw, batch = random_batch(2)
    classifier = tiny_classifier()
    assert score("sufficiency", raw, batch, classifier=classifier, fractions=[1.0]) == [0.0, 0.0]
    whole = [
        answer(case.sample.image, case, classifier=classifier)
        - answer(torch.full((3, 8, 8), 0.5), case, classifier=classifier)
        for case in batch.cases
    ]
    found = score("comprehensiveness", raw, batch, classifier=classifier, fractions=[1.0])
    assert found == pytest.approx(whole, abs=1e-6)


def linear_case(weights: Tensor) -> tuple[Tensor, CaseBatch, Classifier]:
    """A classifier that adds up its 8 × 8 pixels by these weights, and the map that says by how much each counts."""
    generator = torch.Generator().manual_seed(4)
    linear = nn.Linear(64, 3)
    with torch.no_grad():
        linear.weight.copy_(weights.expand(3, 64))
        linear.bias.zero_()
    classifier = Classifier(
        nn.Sequential(nn.Flatten(), linear), task=Task.REGRESSION, output_names=["a", "b", "c"], std=(1.0,), channels=1
    )
    image = 0.5 + 0.5 * torch.rand(1, 8, 8, generator=generator)
    batch = CaseBatch.of([Case(sample=Sample(sample_id="linear", image=image, outputs=torch.ones(3)), target=0)])
    return (weights * (image - 0.5).flatten()).view(1, 8, 8), batch, classifier


def test_the_map_of_a_linear_classifier_is_faithful_and_its_opposite_is_not() -> None:
    raw, batch, classifier = linear_case(torch.rand(64, generator=torch.Generator().manual_seed(3)))
    perfect = {"faithfulness_correlation": 1.0, "faithfulness_estimate": 1.0, "infidelity": 0.0}
    opposite = raw.max() - raw
    for name, wanted in perfect.items():
        assert score(name, raw, batch, classifier=classifier) == pytest.approx([wanted], abs=1e-3)
    for name in NAMES:
        right, wrong = (score(name, maps, batch, classifier=classifier)[0] for maps in (raw, opposite))
        assert right > wrong if METRICS.create(name).higher_is_better else right < wrong


def test_infidelity_does_not_take_what_speaks_against_for_evidence() -> None:
    weights = torch.zeros(8, 8)
    weights[:3, :3], weights[5:, 5:] = 0.5, -0.2
    contributions, batch, own = linear_case(weights.flatten())
    # A probability, since shares of a value's fall end at 1: that removed pixels make the answer rise must be seen.
    classifier = Classifier(
        own.module, task=Task.MULTILABEL, output_names=["a", "b", "c"], std=(1.0,), channels=1, image_size=8
    )
    removed = batch.images.clone()
    removed[..., 5:, 5:] = 0.5
    assert classifier.scores(removed)[0, 0] > classifier.scores(batch.images)[0, 0] + 0.01
    against = -contributions  # preparation keeps its positive part: what lowers the answer
    assert score("infidelity", against, batch, classifier=classifier, patch_side=0.25) == [1.0]
    assert score("infidelity", contributions, batch, classifier=classifier, patch_side=0.25)[0] < 0.5


def test_patches_and_sets_that_change_nothing_are_nothing_to_forecast() -> None:
    weights = torch.zeros(8, 8)
    weights[0, 0] = 1.0  # the answer hangs on one pixel, which few patches and sets will meet
    raw, batch, classifier = linear_case(weights.flatten())
    raw = torch.ones_like(raw).cumsum(dim=-1)
    assert score("infidelity", raw, batch, classifier=classifier, patches=1, patch_side=0.1) == [1.0]
    assert score("faithfulness_correlation", raw, batch, classifier=classifier, runs=2, subset_fraction=0.02) == [0.0]


@pytest.mark.parametrize("name", NAMES)
def test_a_uniform_map_scores_chance(name: str) -> None:
    classifier = tiny_classifier()
    _, batch = falling_batch(3, classifier=classifier)
    chance = METRICS.create(name).chance(batch, context=ScoringContext(classifier=classifier)).tolist()
    assert score(name, torch.full((3, 8, 8), 0.3), batch, classifier=classifier) == chance
    if "correlation" in name or "estimate" in name:
        assert chance == [0.0] * 3


@pytest.mark.parametrize("name", NAMES)
def test_a_classifier_that_never_changes_its_mind_is_asked_nothing(name: str) -> None:
    raw, batch = random_batch(2)
    classifier = tiny_classifier()
    with torch.no_grad():
        classifier.module[-1].weight.zero_()  # type: ignore[index, union-attr, operator]
    assert np.isnan(score(name, raw, batch, classifier=classifier)).all()


@pytest.mark.parametrize("name", NAMES)
def test_regression_is_scored_within_bounds(name: str) -> None:
    raw, batch = random_batch(3)
    found = score(name, raw, batch, classifier=tiny_classifier(task=Task.REGRESSION))
    low, high = METRICS.create(name).bounds
    assert all(low <= value <= (high or value) for value in found)
    assert len(set(found)) == 3


def test_superpixels_have_labels_without_gaps() -> None:
    for channels in (1, 3):
        found = superpixels(torch.rand(channels, 20, 30), n_segments=12)
        assert found.shape == (20, 30)
        assert found.unique().tolist() == list(range(int(found.max()) + 1))


@pytest.mark.parametrize(
    ("name", "params", "wanted"),
    [
        ("pixel_flipping", {"steps": 1}, "steps is 1; wanted at least 2"),
        ("faithfulness_estimate", {"sets": 0}, "sets is 0; wanted at least 1"),
        ("faithfulness_correlation", {"subset_fraction": 1.0}, "subset_fraction is 1.0; wanted a share"),
        ("faithfulness_correlation", {"runs": 1}, "runs is 1; wanted at least 2"),
        ("infidelity", {"patch_side": 0.0}, "patch_side is 0.0; wanted a share"),
        ("infidelity", {"patches": 0}, "patches is 0; wanted at least 1"),
        ("irof", {"segments": 0}, "segments is 0; wanted at least 1"),
        ("sufficiency", {"fractions": []}, r"fractions is \[\]; wanted at least one share"),
        ("comprehensiveness", {"fractions": [0.5, 1.1]}, r"fractions is \[0.5, 1.1\]; wanted at least one share"),
    ],
)
def test_wrong_settings_are_refused(name: str, params: dict[str, Any], wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        METRICS.create(name, **params)
