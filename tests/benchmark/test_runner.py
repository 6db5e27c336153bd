import multiprocessing
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from xaibench.benchmark.cells import cell_id, plan_cells
from xaibench.benchmark.metrics import METRICS, Complexity, ScoringContext
from xaibench.benchmark.metrics.insertion_deletion import InsertionAuc
from xaibench.benchmark.runner import RunOutcome, choose_device, run_suite
from xaibench.benchmark.store import RunStore
from xaibench.benchmark.suite import ClassifierSpec, ExplainerSpec, MetricSpec
from xaibench.benchmark.workbench import Workbench
from xaibench.datasets import CaseBatch, InputError
from xaibench.explainers import EXPLAINERS, Explainer

from .tiny_suite import TINY_SUITE, tiny_suite


class FailingExplainer(Explainer):
    family = "test"
    citation = "none"

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        raise RuntimeError("out of luck")


class BlankExplainer(Explainer):
    family = "test"
    citation = "none"

    def _attribute(self, images: Tensor, targets: Tensor) -> Tensor:
        blank = torch.zeros_like(images[:, 0])
        blank[0, 0, 0] = float("nan")
        return blank


class ChoosyExplainer(BlankExplainer):
    @classmethod
    def unsupported(cls, classifier: object) -> str | None:
        return "it is the wrong day"


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"failing": FailingExplainer, "blank": BlankExplainer, "choosy": ChoosyExplainer}
    monkeypatch.setattr(EXPLAINERS, "_factories", {**EXPLAINERS._factories, **extra})


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunOutcome, RunStore]:
    run_dir = tmp_path_factory.mktemp("reference")
    return run_suite(tiny_suite(), run_dir=run_dir, device="cpu"), RunStore(run_dir)


def test_every_case_of_every_explainer_and_metric_has_one_row(reference: tuple[RunOutcome, RunStore]) -> None:
    outcome, store = reference
    rows = store.score_frame()
    suite = tiny_suite()
    assert not outcome.failures
    assert not rows.duplicated(["explainer", "sample_id", "target", "metric"]).any()
    cases = rows[["sample_id", "target"]].drop_duplicates()
    n_explainers = len(suite.explainers_with_controls())
    assert len(rows) == len(cases) * n_explainers * len(suite.metrics)
    assert cases["sample_id"].nunique() == 10
    assert set(rows["status"]) == {"ok"}
    assert rows["score"].notna().all()


def test_every_explainer_is_timed_beside_the_forward_pass(reference: tuple[RunOutcome, RunStore]) -> None:
    timings = reference[1].timing_frame()
    assert set(timings["explainer"]) == set(tiny_suite().explainers_with_controls())
    assert (timings["explain_seconds"] > 0).all()
    assert (timings["forward_seconds"] > 0).all()


def test_a_second_run_computes_nothing_and_changes_nothing(
    reference: tuple[RunOutcome, RunStore],
) -> None:
    before = {path: path.read_bytes() for path in reference[1].run_dir.rglob("*") if path.is_file()}
    outcome = run_suite(tiny_suite(), run_dir=reference[1].run_dir, device="cpu")
    assert outcome.n_computed == 0
    assert {path: path.read_bytes() for path in reference[1].run_dir.rglob("*") if path.is_file()} == before


def test_lost_cells_are_computed_again_with_the_same_scores(
    reference: tuple[RunOutcome, RunStore], tmp_path: Path
) -> None:
    run_suite(tiny_suite(), run_dir=tmp_path, device="cpu")
    lost = sorted((tmp_path / "cells").iterdir())[::2]
    for path in lost:
        path.unlink()
    for path in (tmp_path / "explainers").iterdir():
        path.unlink()
    outcome = run_suite(tiny_suite(), run_dir=tmp_path, device="cpu")
    assert outcome.n_computed == len(lost)
    pd.testing.assert_frame_equal(RunStore(tmp_path).score_frame(), reference[1].score_frame())


def _run(run_dir: Path) -> None:
    torch.set_num_threads(1)
    run_suite(tiny_suite(), run_dir=run_dir, device="cpu")


@pytest.mark.parametrize("files", [0, 1, 5])
def test_a_killed_run_goes_on_to_the_same_rows(
    files: int, reference: tuple[RunOutcome, RunStore], tmp_path: Path
) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(tmp_path,))
    process.start()
    deadline = time.monotonic() + 120
    while process.is_alive() and time.monotonic() < deadline:
        written = [path for path in tmp_path.rglob("*") if path.is_file()]
        if len(written) >= files:
            break
        time.sleep(0.005)
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    outcome = run_suite(tiny_suite(), run_dir=tmp_path, device="cpu")
    assert outcome.n_computed > 0
    pd.testing.assert_frame_equal(RunStore(tmp_path).score_frame(), reference[1].score_frame())


def test_another_process_gives_the_same_rows(reference: tuple[RunOutcome, RunStore], tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        run_suite(tiny_suite(), run_dir=tmp_path, device="cpu", executor=pool, window=4)
    pd.testing.assert_frame_equal(RunStore(tmp_path).score_frame(), reference[1].score_frame())


def test_adding_an_explainer_leaves_the_others_as_they_are(
    reference: tuple[RunOutcome, RunStore], tmp_path: Path
) -> None:
    suite = tiny_suite(TINY_SUITE.replace("[explainers.saliency]", "[explainers.input_x_gradient]"))
    run_suite(suite, run_dir=tmp_path, device="cpu")
    shared = ["gradient_shap", "nemt", "random"]
    ours, theirs = (store.score_frame() for store in (RunStore(tmp_path), reference[1]))
    for name in shared:
        pd.testing.assert_frame_equal(
            ours[ours["explainer"] == name].reset_index(drop=True),
            theirs[theirs["explainer"] == name].reset_index(drop=True),
        )


def test_the_limit_takes_the_first_samples(reference: tuple[RunOutcome, RunStore], tmp_path: Path) -> None:
    run_suite(tiny_suite(), run_dir=tmp_path, device="cpu", limit=4)
    limited, full = RunStore(tmp_path).score_frame(), reference[1].score_frame()
    assert limited["sample_id"].nunique() == 4
    wanted = full[full["sample_id"].isin(set(limited["sample_id"]))].reset_index(drop=True)
    pd.testing.assert_frame_equal(limited, wanted)


@pytest.mark.usefixtures("plugins")
def test_failing_blank_and_unsupported_explainers_leave_rows_and_the_rest_goes_on(tmp_path: Path) -> None:
    text = TINY_SUITE + "[explainers.failing]\n[explainers.blank]\n[explainers.choosy]\n"
    outcome = run_suite(tiny_suite(text), run_dir=tmp_path, device="cpu", limit=4)
    store = RunStore(tmp_path)
    rows = store.score_frame()
    statuses = {name: set(group["status"]) for name, group in rows.groupby("explainer")}
    assert statuses["failing"] == {"error"}
    assert statuses["blank"] == {"degenerate"}
    assert statuses["choosy"] == {"skipped"}
    assert statuses["saliency"] == {"ok"}
    assert rows.groupby("explainer").size().nunique() == 1
    assert rows.loc[rows["status"] != "ok", "score"].isna().all()
    assert all("out of luck" in text for text in outcome.failures.values())
    assert len(outcome.failures) == 1
    assert set(store.skipped().values()) == {"it is the wrong day"}


@pytest.mark.usefixtures("plugins")
def test_a_failed_cell_is_tried_again_and_its_failure_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = tiny_suite(TINY_SUITE + "[explainers.failing]\n")
    run_suite(suite, run_dir=tmp_path, device="cpu", limit=4)
    monkeypatch.setattr(FailingExplainer, "_attribute", lambda self, images, targets: images.mean(dim=1))
    outcome = run_suite(suite, run_dir=tmp_path, device="cpu", limit=4)
    assert (outcome.n_computed, outcome.failures) == (1, {})
    rows = RunStore(tmp_path).score_frame()
    assert set(rows.loc[rows["explainer"] == "failing", "status"]) == {"ok"}
    assert not list((tmp_path / "cells").glob("*.failed.json"))


def test_a_classifier_no_better_than_chance_is_refused(tmp_path: Path) -> None:
    text = TINY_SUITE.replace("allow_chance = true", "").replace("n_images = 10", "n_images = 40")
    with pytest.raises(InputError, match=r"no better than chance.*allow_chance = true"):
        run_suite(tiny_suite(text), run_dir=tmp_path, device="cpu")


def test_a_classifier_of_other_outputs_is_refused(tmp_path: Path) -> None:
    text = (
        TINY_SUITE
        + '[datasets.other]\ntype = "synthetic_lesions"\nparams = { lesion_types = ["network", "streaks"] }\n'
    )
    suite = tiny_suite(text).model_copy(update={"evaluate": ("lesions", "other")})
    with pytest.raises(InputError, match="same outputs in the same order"):
        run_suite(suite, run_dir=tmp_path, device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_an_absent_gpu_is_one_clear_error() -> None:
    with pytest.raises(InputError, match="--device cpu"):
        choose_device("cuda")


class FailingMetric(Complexity):
    def _score(self, maps: Tensor, batch: CaseBatch, *, context: ScoringContext) -> Tensor:
        raise ValueError("no score today")


FAITHFUL = {
    "complexity": MetricSpec(),
    "broken": MetricSpec(type="failing_metric"),
    "insertion_mean": MetricSpec(type="insertion_auc", params={"steps": 4}),
    "deletion_mean": MetricSpec(type="deletion_auc", params={"steps": 4}),
    "insertion_blur": MetricSpec(type="insertion_auc", params={"steps": 4, "fill": "blur"}),
}


def test_metrics_under_ids_of_their_own_and_one_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(METRICS, "_factories", {**METRICS._factories, "failing_metric": FailingMetric})
    trained = {"trained": ClassifierSpec(checkpoint="builtin:lesions_multilabel", allow_chance=True)}
    suite = tiny_suite(metrics=FAITHFUL, classifiers=trained, explainers={"saliency": ExplainerSpec()})
    outcome = run_suite(suite, run_dir=tmp_path, device="cpu", limit=3)
    rows = RunStore(tmp_path).score_frame()
    assert list(rows["metric"].unique()) == list(FAITHFUL)
    assert set(rows[rows["metric"] == "broken"]["status"]) == {"error"}
    others = rows[rows["metric"] != "broken"]
    assert "error" not in set(others["status"]), "one metric's failure leaves the others their scores"
    others = others[others["status"] == "ok"]  # a fill may ask nothing of a case
    assert set(others["metric"]) == set(FAITHFUL) - {"broken"}
    assert all("metric broken: ValueError: no score today" in text for text in outcome.failures.values())
    by_metric = {name: own.reset_index() for name, own in rows.groupby("metric")}
    assert not by_metric["insertion_mean"]["score"].equals(by_metric["insertion_blur"]["score"])
    # The uniform control is a random ranking, which is what chance says, per case.
    uniform = others[(others["explainer"] == "uniform") & others["metric"].str.contains("_")]
    assert uniform["score"].tolist() == uniform["chance"].tolist()
    # Chance belongs to the case: it is the same beside every explainer.
    assert (others.groupby(["metric", "sample_id", "target"])["chance"].nunique() == 1).all()


def test_chance_is_measured_once_for_all_explainers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[int] = []

    def counted(self: InsertionAuc, batch: CaseBatch, *, context: ScoringContext | None = None) -> Tensor:
        asked.append(len(batch.cases))
        return torch.zeros(len(batch.cases), dtype=torch.float64)

    monkeypatch.setattr(InsertionAuc, "chance", counted)
    suite = tiny_suite(metrics={"insertion_auc": MetricSpec(params={"steps": 2})}, explainers={})
    run_suite(suite, run_dir=tmp_path, device="cpu", limit=3)
    rows = RunStore(tmp_path).score_frame()
    assert sum(asked) == len(rows[["sample_id", "target"]].drop_duplicates())
    assert rows["explainer"].nunique() > 1


def test_the_id_of_a_cell_depends_on_ids_and_settings_of_metrics(tmp_path: Path) -> None:
    def ids(**metrics: MetricSpec) -> set[str]:
        bench = Workbench(tiny_suite(metrics=metrics), run_dir=tmp_path, data_dir=tmp_path, device=torch.device("cpu"))
        return {cell_id(bench, cell) for cell in plan_cells(bench, limit=1) if cell.explainer == "uniform"}

    one = ids(insertion=MetricSpec(type="insertion_auc"))
    assert one == ids(insertion=MetricSpec(type="insertion_auc", params={"fill": "mean"}))
    assert not one & ids(insertion=MetricSpec(type="insertion_auc", params={"fill": "blur"}))
    assert not one & ids(another=MetricSpec(type="insertion_auc"))


def test_the_id_of_a_cell_depends_on_the_network_and_on_the_code_of_a_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ids(text: str = TINY_SUITE) -> set[str]:
        bench = Workbench(tiny_suite(text), run_dir=tmp_path, data_dir=tmp_path, device=torch.device("cpu"))
        return {cell_id(bench, cell) for cell in plan_cells(bench, limit=1) if cell.explainer == "saliency"}

    one = ids()
    assert one == ids()
    # The weights are the same, what explainers read is not.
    timm = TINY_SUITE.replace("small_resnet", "timm")
    networks = ['model = "resnet10t"', 'model = "resnet10t", feature_layers = ["layer1", "layer2"]']
    assert not ids(timm.replace("width = 8", networks[0])) & ids(timm.replace("width = 8", networks[1]))
    monkeypatch.setattr(EXPLAINERS, "origin", lambda name: {"source": "edited"})
    assert not one & ids()
