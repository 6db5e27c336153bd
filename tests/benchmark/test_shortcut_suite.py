"""Explanations of a classifier that goes by a marker lie on the marker, those of another one do not."""

from pathlib import Path

import pandas as pd
import pytest

from xaibench.benchmark.runner import run_suite
from xaibench.benchmark.store import RunStore
from xaibench.benchmark.suite_files import load_suite

CHANCE_FACTOR = 10
"""How many times more than by chance lies on the marker that the biased classifier goes by."""


@pytest.mark.slow  # trains two classifiers and two decoders: eight minutes on one core
def test_explanations_reveal_the_biased_classifier(tmp_path: Path) -> None:
    run_suite(load_suite("radiographs_shortcut"), run_dir=tmp_path, device="cpu")
    frame = RunStore(tmp_path).score_frame()
    mass = frame[frame["metric"] == "relevance_mass_accuracy"]
    # Images without the marker have no region, and no score.
    assert 0.3 < (mass["status"] == "not_applicable").mean() < 0.7
    means: pd.Series = mass.groupby(["classifier", "explainer"])["score"].mean()
    chance = mass["chance"].mean()
    for explainer in ("nemt", "integrated_gradients", "input_x_gradient", "gradient_shap", "saliency"):
        assert means["biased", explainer] > CHANCE_FACTOR * chance, explainer
        assert means["unbiased", explainer] < 2 * chance, explainer
    # A control sees the marker whatever the classifier.
    assert means["biased", "sobel"] == pytest.approx(means["unbiased", "sobel"])
