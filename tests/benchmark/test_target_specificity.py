"""Whose evidence does a map show? Relevance on other targets, and maps for other targets."""

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from xaibench.benchmark.metrics import METRICS, ScoringContext
from xaibench.benchmark.metrics.similarity import correlation, rank_similarity
from xaibench.benchmark.prepare import prepare
from xaibench.benchmark.rows import Status
from xaibench.datasets import Case, CaseBatch, Sample
from xaibench.explainers import EXPLAINERS, Explainer

from .scored_cases import random_batch, tiny_classifier


def two_findings(*, outputs: tuple[float, ...] = (1.0, 1.0, 0.0), target: int = 0) -> CaseBatch:
    """One case: output 0 in the upper left, output 1 in the middle and overlapping it, output 2 in the lower right."""
    masks = torch.zeros(3, 6, 6, dtype=torch.bool)
    masks[0, :3, :3] = True
    masks[1, 2:4, 2:4] = True
    masks[2, 5, 5] = True
    image = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(1))
    sample = Sample(sample_id="two", image=image, outputs=torch.tensor(outputs), gt_masks=masks)
    return CaseBatch.of([Case(sample=sample, target=target)])


def mass(raw: Tensor, batch: CaseBatch) -> tuple[float, Status]:
    metric, prepared = METRICS.create("other_target_mass"), prepare(raw, chain="positive")
    return float(metric.score(prepared, batch)), metric.statuses(prepared, batch)[0]


def test_other_target_mass_equals_the_definition() -> None:
    raw, batch = torch.rand(1, 6, 6, generator=torch.Generator().manual_seed(2)), two_findings()
    own, other = batch.cases[0].sample.gt_masks[:2]  # type: ignore[index]
    total = elsewhere = 0.0
    for i in range(6):
        for j in range(6):
            total += float(raw[0, i, j])
            if other[i, j] and not own[i, j]:
                elsewhere += float(raw[0, i, j])
    assert mass(raw, batch) == (pytest.approx(elsewhere / total), Status.OK)
    # The absent output's region does not count, and the pixel that both regions share is the target's own.
    assert float(METRICS.create("other_target_mass").chance(batch)) == pytest.approx(3 / 36)


def test_a_map_on_the_target_scores_0_and_one_on_the_other_finding_1() -> None:
    batch = two_findings()
    own, other, absent = (mask[None].float() for mask in batch.cases[0].sample.gt_masks)  # type: ignore[union-attr]
    assert mass(own, batch)[0] == 0.0
    assert mass(other * (1 - own), batch)[0] == 1.0
    assert mass(absent, batch)[0] == 0.0
    assert mass(torch.zeros(1, 6, 6), batch)[1] is Status.DEGENERATE


@pytest.mark.parametrize(
    "batch",
    [
        two_findings(outputs=(1.0, 0.0, 0.0)),  # nothing else is there
        two_findings(outputs=(1.2, 1.0, 0.4)),  # values, not labels
        CaseBatch.of([Case(sample=Sample(sample_id="a", image=torch.rand(3, 6, 6), outputs=torch.ones(3)), target=0)]),
    ],
)
def test_other_target_mass_does_not_apply_where_there_is_no_other_region(batch: CaseBatch) -> None:
    assert mass(torch.ones(1, 6, 6), batch)[1] is Status.NOT_APPLICABLE
    assert METRICS.create("other_target_mass").chance(batch).isnan().all()


def test_other_target_mass_does_not_apply_where_the_other_region_lies_inside_the_own() -> None:
    batch = two_findings()
    batch.cases[0].sample.gt_masks[0] = True  # type: ignore[index]
    assert mass(torch.ones(1, 6, 6), batch)[1] is Status.NOT_APPLICABLE


class RecordingExplainer(Explainer):
    """Gives a fixed map per target and remembers the targets it was asked for."""

    family = "test"
    citation = "none"

    def __init__(self, maps: Tensor) -> None:
        super().__init__(tiny_classifier())
        self.maps, self.asked = maps, list[int]()

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        self.asked += targets.tolist()
        return self.maps[targets]


@pytest.mark.parametrize("name", ["wrong_target_similarity", "random_logit"])
def test_maps_are_compared_by_the_rank_correlation_of_scipy(name: str) -> None:
    raw, batch = random_batch(3)
    explainer = RecordingExplainer(torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(9)))
    context = ScoringContext(classifier=explainer.classifier, explainer=explainer)
    found = METRICS.create(name).score(prepare(raw, chain="positive"), batch, context=context)
    for score, own, other in zip(found.tolist(), raw, explainer.asked, strict=True):
        wanted = spearmanr(own.clamp(min=0).flatten(), explainer.maps[other].clamp(min=0).flatten()).statistic
        assert score == pytest.approx(wanted, abs=1e-6)
    assert 0 not in explainer.asked, "the target itself"


def test_the_rival_is_the_output_with_the_highest_score_besides_the_target() -> None:
    raw, batch = random_batch(6)
    batch = CaseBatch.of([Case(sample=case.sample, target=index % 3) for index, case in enumerate(batch.cases)])
    explainer = RecordingExplainer(torch.rand(3, 8, 8))
    context = ScoringContext(classifier=explainer.classifier, explainer=explainer)
    METRICS.create("wrong_target_similarity").score(prepare(raw, chain="positive"), batch, context=context)
    for case, asked in zip(batch.cases, explainer.asked, strict=True):
        scores = explainer.classifier.scores(case.sample.image[None])[0].tolist()
        assert asked == max((output for output in range(3) if output != case.target), key=lambda k: scores[k])


def test_random_logit_draws_every_other_output() -> None:
    raw, batch = random_batch(40)
    batch = CaseBatch.of([Case(sample=case.sample, target=1) for case in batch.cases])
    explainer = RecordingExplainer(torch.rand(3, 8, 8))
    context = ScoringContext(classifier=explainer.classifier, explainer=explainer)
    METRICS.create("random_logit").score(prepare(raw, chain="positive"), batch, context=context)
    assert set(explainer.asked) == {0, 2}
    assert 10 < explainer.asked.count(0) < 30


@pytest.mark.parametrize("name", ["wrong_target_similarity", "random_logit"])
def test_an_explainer_that_ignores_the_target_scores_1_and_the_oracle_does_not(name: str) -> None:
    _, batch = random_batch(3)
    classifier = tiny_classifier()
    for control, expected in (("uniform", 1.0), ("centre_gaussian", 1.0), ("sobel", 1.0), ("oracle", None)):
        explainer = EXPLAINERS.create(control, classifier)
        masks = batch.gt_masks if explainer.sees_gt_masks else None
        raw = explainer.explain(batch.images, batch.targets, gt_masks=masks)
        context = ScoringContext(classifier=classifier, explainer=explainer)
        found = METRICS.create(name).score(prepare(raw, chain="positive"), batch, context=context)
        if expected is None:
            assert (found < 0.5).all(), "the oracle is asked with the region of the other output"
        else:
            assert found.tolist() == [expected] * 3


def test_nothing_speaks_for_the_other_output() -> None:
    raw, batch = random_batch(2)
    explainer = RecordingExplainer(torch.zeros(3, 8, 8))
    context = ScoringContext(classifier=explainer.classifier, explainer=explainer)
    found = METRICS.create("wrong_target_similarity").score(prepare(raw, chain="positive"), batch, context=context)
    assert found.tolist() == [0.0, 0.0]


def test_one_output_has_no_other() -> None:
    sample = Sample(sample_id="one", image=torch.rand(3, 8, 8), outputs=torch.ones(1))
    batch, prepared = CaseBatch.of([Case(sample=sample, target=0)]), prepare(torch.ones(1, 8, 8), chain="positive")
    for name in ("wrong_target_similarity", "random_logit"):
        assert METRICS.create(name).statuses(prepared, batch) == [Status.NOT_APPLICABLE]


def test_similarity_where_a_correlation_is_not_defined() -> None:
    ramp, flat = torch.arange(16.0).view(1, 4, 4), torch.ones(1, 4, 4)
    assert rank_similarity(flat, flat).tolist() == [1.0]
    assert rank_similarity(ramp, flat).tolist() == [0.0]
    assert rank_similarity(ramp, ramp**2).tolist() == [1.0], "ranks, not amplitudes"
    assert rank_similarity(ramp, -ramp).tolist() == [-1.0]
    assert correlation((0.1 * flat).flatten().numpy(), ramp.flatten().numpy()) == 0.0
