"""ROAD: the imputer against a dense solution and Quantus', the score against its definition."""

import numpy as np
import pytest
import torch
from quantus.functions.perturb_func import noisy_linear_imputation

from xaibench.benchmark.metrics import METRICS, ScoringContext
from xaibench.benchmark.metrics.imputation import linear_imputation
from xaibench.benchmark.prepare import prepare
from xaibench.datasets import InputError

from .scored_cases import random_batch, tiny_classifier


def dense_imputation(image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """One equation a missing pixel, solved as a dense system."""
    pixels = [tuple(place) for place in np.argwhere(missing)]
    matrix, right = np.zeros((len(pixels), len(pixels))), np.zeros(len(pixels))
    for row, (i, j) in enumerate(pixels):
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                y, x = i + di, j + dj
                if (di, dj) == (0, 0) or not (0 <= y < image.shape[0] and 0 <= x < image.shape[1]):
                    continue
                weight = 1 / 6 if di == 0 or dj == 0 else 1 / 12
                matrix[row, row] += weight
                if missing[y, x]:
                    matrix[row, pixels.index((y, x))] -= weight
                else:
                    right[row] += weight * image[y, x]
    filled = image.copy()
    filled[missing] = np.linalg.solve(matrix, right)
    return filled


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_the_imputer_solves_its_equations(share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(3, 12, 9, generator=generator)
    missing = torch.rand(2, 12, 9, generator=generator) < share
    missing[:, 0, 0] = False
    found = linear_imputation(image, missing)
    for mask, filled in zip(missing.numpy(), found.numpy(), strict=True):
        for channel in range(3):
            wanted = dense_imputation(image[channel].numpy().astype(np.float64), mask)
            np.testing.assert_allclose(filled[channel], wanted, atol=1e-4)
        indices = np.flatnonzero(mask)
        theirs = noisy_linear_imputation(image.numpy().astype(np.float64), indices, noise=0.0)
        np.testing.assert_allclose(filled, theirs, atol=1e-4)


def test_what_is_known_stays_and_a_plane_of_one_colour_is_restored() -> None:
    image = torch.full((3, 40, 40), 0.7)
    missing = torch.zeros(1, 40, 40, dtype=torch.bool)
    missing[0, 2:38, 2:38] = True
    torch.testing.assert_close(linear_imputation(image, missing)[0], image, atol=1e-3, rtol=0)
    image = torch.rand(3, 40, 40)
    found = linear_imputation(image, torch.cat([missing, ~missing, missing & False]))
    assert torch.equal(found[0][:, ~missing[0]], image[:, ~missing[0]])
    assert torch.equal(found[2], image)


def test_masks_do_not_depend_on_each_other() -> None:
    generator = torch.Generator().manual_seed(1)
    image, missing = torch.rand(1, 10, 10, generator=generator), torch.rand(3, 10, 10, generator=generator) < 0.6
    missing[2] = False
    missing[2, 4, 4] = True
    together = linear_imputation(image, missing)
    for index in range(3):
        torch.testing.assert_close(
            linear_imputation(image, missing[index : index + 1])[0], together[index], atol=1e-4, rtol=0
        )


def test_the_score_is_the_mean_answer_without_the_most_relevant_pixels() -> None:
    raw, batch = random_batch(2, side=10)
    raw = raw.abs() + 0.1
    classifier = tiny_classifier()
    metric = METRICS.create("road", fractions=[0.2, 0.6])
    found = metric.score(prepare(raw, chain="positive"), batch, context=ScoringContext(classifier=classifier))
    for value, own, case in zip(found.tolist(), raw, batch.cases, strict=True):
        answers = []
        for count in (20, 60):
            missing = (own >= own.flatten().sort(descending=True).values[count - 1]).numpy()
            image = np.stack([dense_imputation(channel.double().numpy(), missing) for channel in case.sample.image])
            with torch.no_grad():
                answers.append(float(classifier.scores(torch.from_numpy(image).float()[None])[0, case.target]))
        assert value == pytest.approx(sum(answers) / 2, abs=0.03), "up to the noise"
    assert found[0] != found[1]


def test_where_a_colour_would_leave_the_probability_imputation_is_asked_all_the_same() -> None:
    raw, batch = random_batch(3)
    classifier = tiny_classifier()
    with torch.no_grad():
        classifier.module[-1].weight.zero_()  # type: ignore[index, union-attr, operator]
    context, prepared = ScoringContext(classifier=classifier), prepare(raw, chain="positive")
    assert METRICS.create("road").score(prepared, batch, context=context).isfinite().all()
    assert METRICS.create("deletion_auc").score(prepared, batch, context=context).isnan().all()


def test_noise_comes_upon_imputed_pixels_alone() -> None:
    raw, batch = random_batch(2, side=10)
    classifier = tiny_classifier()
    context = ScoringContext(classifier=classifier)
    nothing = METRICS.create("road", fractions=[1e-3]).score(prepare(raw, chain="positive"), batch, context=context)
    for value, case in zip(nothing.tolist(), batch.cases, strict=True):
        with torch.no_grad():
            answer = float(classifier.scores(case.sample.image[None])[0, case.target])
        assert value == pytest.approx(answer, abs=1e-6), "none of the 100 pixels is removed"


@pytest.mark.parametrize(
    ("fractions", "wanted"),
    [
        ([1.0], "fractions has 1.0; wanted less"),
        ([0.0], "wanted at least one share"),
        ([], "wanted at least one share"),
    ],
)
def test_wrong_settings_are_refused(fractions: list[float], wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        METRICS.create("road", fractions=fractions)
