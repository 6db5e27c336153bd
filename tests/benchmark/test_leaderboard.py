"""A leaderboard with what a reader must know: strata, flags, and the way from the controls to the oracle."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from xaibench.benchmark.leaderboard import render_leaderboard
from xaibench.benchmark.runner import run_suite
from xaibench.benchmark.store import RunStore
from xaibench.benchmark.suite import ClassifierSpec, DatasetSpec, ExplainerSpec, MetricSpec, Suite
from xaibench.benchmark.summary import _ignoring_target, summarize_run
from xaibench.datasets import DATASETS, Dataset, InputError

METRICS = {
    "relevance_mass_accuracy": MetricSpec(),
    "elsewhere": MetricSpec(type="other_target_mass"),
    "random_logit": MetricSpec(),
}


def suite_of(task: str) -> Suite:
    """Few lesions, an untrained network and two explainers."""
    params = {"task": task, "n_images": 8, "image_size": 32}
    return Suite(
        schema_version=1,
        name="tiny",
        batch_size=8,
        metrics=METRICS,
        datasets={"lesions": DatasetSpec(type="synthetic_lesions", params=params)},
        classifiers={"untrained": ClassifierSpec(type="small_resnet", params={"width": 8}, allow_chance=True)},
        explainers={"saliency": ExplainerSpec(), "blob": ExplainerSpec(type="centre_gaussian")},
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    run_dir = tmp_path_factory.mktemp("multilabel")
    assert not run_suite(suite_of("multilabel"), run_dir=run_dir, device="cpu").failures
    return RunStore(run_dir)


def test_explainers_that_ignore_the_target_are_flagged(store: RunStore) -> None:
    flags = summarize_run(store).groupby("explainer")["ignores_target"].agg(lambda own: set(own))
    assert {name for name, own in flags.items() if own == {True}} == {"blob", "centre_gaussian", "uniform", "sobel"}
    assert flags["saliency"] == flags["oracle"] == flags["random"] == {False}
    text = render_leaderboard(store, output_format="md")
    assert "*blob*†" in text
    assert "**saliency** |" in text
    assert "† gives the same map for every target" in text


@pytest.mark.parametrize(
    ("scores", "is_flagged"), [((1.0, 1.0), True), ((1.0, 1.0 - 1e-9), True), ((1.0, 0.99), False), ((0.0, 0.0), False)]
)
def test_one_map_that_differs_lifts_the_flag(scores: tuple[float, ...], is_flagged: bool) -> None:
    facts = {"dataset": "d", "classifier": "c", "explainer": "a", "metric": "random_logit"}
    rows = pd.DataFrame([{**facts, "status": "ok", "score": score} for score in scores])
    failed = pd.DataFrame([{**facts, "explainer": "b", "status": "error", "score": None}])
    assert _ignoring_target(pd.concat([rows, failed])) == {("d", "c", "a"): is_flagged}, "b was never compared"


def test_metrics_that_do_not_apply_to_every_case_say_to_how_many(store: RunStore) -> None:
    rows = store.score_frame()
    own = rows[(rows["metric"] == "elsewhere") & (rows["explainer"] == "saliency")]
    applicable = int((own["status"] == "ok").sum())
    assert 0 < applicable < len(own)
    text = render_leaderboard(store, output_format="md")
    assert f"Asked about {applicable} cases: elsewhere." in text
    assert f" | {len(own)} | " in text, "a case to which a metric does not apply lacks nothing"
    assert " of " not in text.split("| **saliency**")[1].split("\n")[0]


def test_the_way_from_the_best_control_to_the_oracle_stands_beside_raw_scores(store: RunStore) -> None:
    summary = summarize_run(store)
    mass = summary[summary["metric"] == "relevance_mass_accuracy"].set_index("explainer")
    controls = mass.loc[["uniform", "random", "centre_gaussian", "sobel", "blob"], "mean"]
    wanted = (mass.loc["saliency", "mean"] - controls.max()) / (1 - controls.max())
    assert mass.loc["saliency", "relative"] == pytest.approx(wanted)
    table = render_leaderboard(store, output_format="md").split("Share of the way from the best control")[1]
    assert f"| **saliency** | {100 * wanted:.0f} % |" in table
    assert "*uniform*" not in table


def test_strata_hold_the_cases_that_are_right_or_wrong(store: RunStore) -> None:
    rows = store.score_frame()
    chosen = rows[(rows["metric"] == "relevance_mass_accuracy") & (rows["explainer"] == "saliency")]
    found = pd.read_csv(io.StringIO(render_leaderboard(store, output_format="csv", by="correct")))
    assert found.columns[0] == "stratum"
    assert set(found["stratum"]) == {"correct", "wrong"}
    for name, is_correct in (("correct", True), ("wrong", False)):
        own = chosen[chosen["correct"].eq(is_correct)]
        one = found[(found["stratum"] == name) & (found["metric"] == "relevance_mass_accuracy")]
        one = one[one["explainer"] == "saliency"].iloc[0]
        assert one["n_cases"] == len(own)
        assert one["mean"] == pytest.approx(own["score"].astype(float).mean())
    text = render_leaderboard(store, output_format="md", by="correct")
    assert "## lesions · untrained · correct" in text
    assert "cases with a wrong prediction" in text
    records = json.loads(render_leaderboard(store, output_format="json", by="correct"))
    assert {record["stratum"] for record in records} == {"correct", "wrong"}
    assert "stratum" not in summarize_run(store).columns


def test_regression_is_neither_right_nor_wrong(
    make_blobs: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(DATASETS, "_factories", {**DATASETS._factories, "blobs": make_blobs})
    blobs = DatasetSpec(type="blobs", params={"n_images": 2, "task": "regression"})
    changes = {"metrics": {"complexity": MetricSpec()}, "datasets": {"lesions": blobs}}
    run_suite(suite_of("multilabel").model_copy(update=changes), run_dir=tmp_path, device="cpu")
    with pytest.raises(InputError, match=r"no case that is right or wrong \(regression\?\); leave --by correct out"):
        render_leaderboard(RunStore(tmp_path), output_format="md", by="correct")
    assert summarize_run(RunStore(tmp_path))["ignores_target"].isna().all(), "no metric asked"


def test_runs_of_earlier_versions_are_read(store: RunStore, tmp_path: Path) -> None:
    old = RunStore(Path(shutil.copytree(store.run_dir, tmp_path / "old")))
    manifest = old.read_manifest()
    del manifest["oracles"]
    del manifest["environment"]["device_type"]
    for metric in manifest["metrics"]:
        if metric["name"] == metric["type"]:
            del metric["type"]
    old.write_manifest(manifest)
    pd.testing.assert_frame_equal(summarize_run(old), summarize_run(store))


def test_a_fit_on_another_kind_of_device_says_so(store: RunStore, tmp_path: Path) -> None:
    moved = RunStore(Path(shutil.copytree(store.run_dir, tmp_path / "moved")))
    fit = {"explainer": "saliency", "classifier": "untrained", "fit_seconds": 90.0}
    manifest = moved.read_manifest()
    shown = {}
    for device in ("cpu", "cuda"):
        moved.write_manifest({**manifest, "fits": [{**fit, "fit_device": device}]})
        shown[device] = render_leaderboard(moved, output_format="md")
    assert manifest["environment"]["device_type"] == "cpu"
    assert "| 90 |" in shown["cpu"]
    assert "| 90 (cuda) |" in shown["cuda"]


def test_more_metrics_than_can_be_read_side_by_side_get_a_table_per_family(tmp_path: Path) -> None:
    insertions = {
        f"insertion_{steps}": MetricSpec(type="insertion_auc", params={"steps": steps}) for steps in range(1, 11)
    }
    changes = {
        "metrics": {**METRICS, **insertions, "completeness": MetricSpec()},
        "datasets": {"lesions": DatasetSpec(type="synthetic_lesions", params={"n_images": 2})},
        # One that sees something: of an untrained network's answers a fill takes nothing away.
        "classifiers": {"trained": ClassifierSpec(checkpoint="builtin:lesions_multiclass", allow_chance=True)},
        "explainers": {name: ExplainerSpec() for name in ("saliency", "deep_lift", "attention_rollout")},
    }
    run_suite(suite_of("multiclass").model_copy(update=changes), run_dir=tmp_path, device="cpu")
    store = RunStore(tmp_path)
    text = render_leaderboard(store, output_format="md")
    titles = [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")]
    wanted = ["localization", "target specificity", "randomization", "faithfulness (1 of 2)", "faithfulness (2 of 2)"]
    assert titles == [*wanted, "axiomatic", "costs"]
    tables = dict(zip(titles, text.split("### ")[1:], strict=True))
    without = [title for title, table in tables.items() if "| **saliency**" not in table]
    assert without == ["target specificity", "axiomatic"], "to whom no metric of a table applies"
    assert "| **deep_lift**" in tables["axiomatic"]
    assert "| **attention_rollout** | – |" in tables["axiomatic"], "who was skipped was not asked"
    assert "insertion 5 ↑ |\n" in tables["faithfulness (1 of 2)"]
    assert "| explainer | insertion 6 ↑ |" in tables["faithfulness (2 of 2)"]
    assert "ms an image" in tables["costs"]
    assert "ms an image" not in tables["localization"].split("\n\n")[1]
    assert "14 metrics × 8 explainers: 85 scores, 0 degenerate, 13 not applicable, 14 skipped, 0 errors." in text
    assert "Asked about 0 cases: elsewhere." in text, "who was skipped was not asked"
