"""The census of a run: nothing may be left over."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from xaibench.benchmark.census import census_line
from xaibench.benchmark.runner import run_suite
from xaibench.benchmark.store import RunStore
from xaibench.benchmark.suite import ExplainerSpec, MetricSpec
from xaibench.explainers import EXPLAINERS
from xaibench.explainers.gradient import SaliencyExplainer

from .tiny_suite import tiny_suite


class Failing(SaliencyExplainer):
    """Fails."""

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        raise ValueError("broken")


class Silent(SaliencyExplainer):
    """Says nothing."""

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        return torch.zeros(len(images), *images.shape[-2:])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    catalog = {**EXPLAINERS._factories, "failing": Failing, "silent": Silent}
    monkeypatch.setattr(EXPLAINERS, "_factories", catalog)
    names = ["saliency", "failing", "silent", "attention_rollout"]
    suite = tiny_suite(
        explainers={name: ExplainerSpec() for name in names},
        metrics={name: MetricSpec() for name in ("complexity", "completeness", "other_target_mass")},
    )
    run_suite(suite, run_dir=tmp_path, device="cpu")
    return RunStore(tmp_path)


def test_every_pair_of_metric_and_explainer_is_counted_once(store: RunStore) -> None:
    # Five controls and saliency score twice, once some of their cases; completeness applies to none of them.
    wanted = "3 metrics × 9 explainers: 12 scores, 2 degenerate, 7 not applicable, 3 skipped, 3 errors"
    assert census_line(store) == wanted


def test_scores_of_some_cases_are_told_from_scores_of_all(store: RunStore) -> None:
    def empty(path: Path, content: dict[str, Any]) -> None:
        content["scores"][0] |= {"score": None, "status": "degenerate"}
        path.write_text(json.dumps(content), encoding="utf-8")

    change_a_cell(store, "saliency", empty)
    assert ": 12 scores (1 without some cases, whose maps are empty), 2 degenerate" in census_line(store)


def change_a_cell(store: RunStore, explainer: str, change: Callable[[Path, dict[str, Any]], None]) -> None:
    for path in sorted((store.run_dir / "cells").glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["cell"]["explainer"] == explainer:
            change(path, content)
            return


def test_a_cell_that_was_never_computed_is_missing(store: RunStore) -> None:
    # One of the three cells of an explainer: its pairs have scores, but not of all cases.
    change_a_cell(store, "saliency", lambda path, _: path.unlink())
    assert census_line(store).endswith("3 errors, 0 missing (cells never computed: 1; run the suite again)")


def test_a_case_with_neither_score_nor_reason_is_missing(store: RunStore) -> None:
    def forget(path: Path, content: dict[str, Any]) -> None:
        content["scores"][0]["score"] = None
        path.write_text(json.dumps(content), encoding="utf-8")

    change_a_cell(store, "saliency", forget)
    line = census_line(store)
    assert "11 scores" in line
    assert "1 missing (cells never computed: 0;" in line
