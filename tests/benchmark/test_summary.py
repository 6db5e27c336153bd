from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaibench.benchmark.summary import summarize_scores, summarize_timings

DIRECTIONS = {"mass": True, "entropy": False}


def rows(
    explainer: str, metric: str, scores: list[float | None], *, status: str = "degenerate", **facts: Any
) -> pd.DataFrame:
    """One case per image; None becomes a row with the given status."""
    return pd.DataFrame(
        [
            {
                "dataset": "d",
                "classifier": "c",
                "explainer": explainer,
                "is_control": False,
                "sample_id": f"s{index}",
                "target": 0,
                "metric": metric,
                "score": score,
                "chance": 0.25,
                "status": "ok" if score is not None else status,
                **facts,
            }
            for index, score in enumerate(scores)
        ]
    )


def line(summary: pd.DataFrame, explainer: str, metric: str) -> Any:
    chosen = summary[(summary["explainer"] == explainer) & (summary["metric"] == metric)]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_ranks_follow_the_direction_of_each_metric_and_ties_share() -> None:
    frames = [
        rows("a", "mass", [0.9, 0.7]),
        rows("b", "mass", [0.5, 0.3]),
        rows("c", "mass", [0.4, 0.4]),
        rows("a", "entropy", [5.0, 6.0]),
        rows("b", "entropy", [1.0, 2.0]),
        rows("c", "entropy", [9.0, 9.0]),
    ]
    summary = summarize_scores(pd.concat(frames), higher_is_better=DIRECTIONS)
    assert [line(summary, name, "mass")["rank"] for name in "abc"] == [1, 2, 2]
    assert [line(summary, name, "entropy")["rank"] for name in "abc"] == [2, 1, 3]
    assert line(summary, "a", "mass")["mean"] == pytest.approx(0.8)


def test_partial_coverage_is_counted_and_never_ranked() -> None:
    frames = [
        rows("gappy", "mass", [1.0, None, 1.0]),
        rows("whole", "mass", [0.5, 0.5, 0.5]),
        rows("broken", "mass", [None, None, None], status="error"),
        rows("absent", "mass", [None, None, None], status="skipped"),
    ]
    summary = summarize_scores(pd.concat(frames), higher_is_better=DIRECTIONS)
    gappy = line(summary, "gappy", "mass")
    assert (gappy["n_scored"], gappy["n_cases"], gappy["n_degenerate"]) == (2, 3, 1)
    assert pd.isna(gappy["rank"])
    assert gappy["mean"] == 1.0
    assert line(summary, "whole", "mass")["rank"] == 1
    assert line(summary, "broken", "mass")["n_error"] == 3
    assert line(summary, "absent", "mass")["n_skipped"] == 3
    assert pd.isna(line(summary, "broken", "mass")["mean"])


def test_who_was_not_asked_about_every_case_has_no_rank() -> None:
    frames = [rows("stopped", "mass", [1.0]), rows("whole", "mass", [0.5, 0.5, 0.5])]
    summary = summarize_scores(pd.concat(frames), higher_is_better=DIRECTIONS)
    assert pd.isna(line(summary, "stopped", "mass")["rank"])
    assert line(summary, "whole", "mass")["rank"] == 1


def test_cases_that_nobody_can_score_cost_nobody_the_rank() -> None:
    summary = summarize_scores(rows("a", "mass", [0.5, None], status="not_applicable"), higher_is_better=DIRECTIONS)
    assert line(summary, "a", "mass")["n_not_applicable"] == 1
    assert line(summary, "a", "mass")["rank"] == 1
    assert line(summary, "a", "mass")["n_scored"] == 1


def test_scores_relative_to_the_controls_in_either_direction() -> None:
    frames = []
    for metric, sign in (("mass", 1.0), ("entropy", -1.0)):
        for name, score in (
            ("uniform", 0.1),
            ("centre", 0.3),
            ("oracle", 0.8),
            ("low", 0.2),
            ("mid", 0.55),
            ("top", 1.3),
        ):
            facts = {"is_control": name in ("uniform", "centre", "oracle")}
            frames.append(rows(name, metric, [sign * score, sign * score], **facts))
    summary = summarize_scores(pd.concat(frames), higher_is_better=DIRECTIONS)
    for metric in DIRECTIONS:
        found = {name: line(summary, name, metric)["relative"] for name in ("centre", "oracle", "low", "mid", "top")}
        assert found == pytest.approx({"centre": 0.0, "oracle": 1.0, "low": -0.2, "mid": 0.5, "top": 2.0})


def test_nothing_is_relative_to_an_oracle_that_controls_beat_or_that_is_incomplete() -> None:
    def relative(oracle: list[float | None], centre: list[float | None], name: str = "oracle") -> Any:
        frames = [
            rows(name, "mass", oracle, is_control=True),
            rows("centre", "mass", centre, is_control=True),
            rows("a", "mass", [0.5, 0.5]),
            rows("gappy", "mass", [0.5, None]),
        ]
        summary = summarize_scores(pd.concat(frames), higher_is_better=DIRECTIONS, oracles=["oracle"])
        assert pd.isna(line(summary, "gappy", "mass")["relative"])
        return line(summary, "a", "mass")["relative"]

    assert relative([0.9, 0.9], [0.1, 0.1]) == pytest.approx(0.5)
    assert pd.isna(relative([0.1, 0.1], [0.3, 0.3]))
    assert pd.isna(relative([0.3, 0.3], [0.3, 0.3]))
    assert pd.isna(relative([0.9, None], [0.3, 0.3]))
    assert pd.isna(relative([0.9, 0.9], [0.3, None]))
    assert pd.isna(relative([0.9, 0.9], [0.1, 0.1], name="ceiling")), "no oracle by that id"


def test_the_interval_agrees_with_the_normal_one_on_many_samples() -> None:
    scores = np.random.default_rng(0).normal(0.5, 0.1, size=400)
    found = line(summarize_scores(rows("a", "mass", list(scores)), higher_is_better=DIRECTIONS), "a", "mass")
    half_width = 1.96 * scores.std() / np.sqrt(len(scores))
    assert found["ci_low"] == pytest.approx(scores.mean() - half_width, abs=0.15 * half_width)
    assert found["ci_high"] == pytest.approx(scores.mean() + half_width, abs=0.15 * half_width)


def test_the_interval_resamples_images_not_cases() -> None:
    # Two cases an image with the same score carry no more information than one.
    scores = list(np.random.default_rng(1).uniform(size=50))
    once = rows("a", "mass", scores)
    twice = pd.concat([once, once.assign(target=1)])
    single = line(summarize_scores(once, higher_is_better=DIRECTIONS), "a", "mass")
    double = line(summarize_scores(twice, higher_is_better=DIRECTIONS), "a", "mass")
    assert double["ci_low"] == pytest.approx(single["ci_low"])
    assert double["ci_high"] == pytest.approx(single["ci_high"])


@settings(deadline=None, max_examples=30)  # a busy machine is not a failure
@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_the_interval_encloses_the_mean(scores: list[float]) -> None:
    found = line(summarize_scores(rows("a", "mass", list(scores)), higher_is_better=DIRECTIONS), "a", "mass")
    assert found["ci_low"] - 1e-9 <= found["mean"] <= found["ci_high"] + 1e-9


def test_one_image_has_no_interval() -> None:
    found = line(summarize_scores(rows("a", "mass", [0.5]), higher_is_better=DIRECTIONS), "a", "mass")
    assert pd.isna(found["ci_low"])


def test_timings_are_medians_of_full_batches() -> None:
    facts = {"dataset": "d", "classifier": "c", "explainer": "a", "peak_memory_bytes": None, "device": "cpu"}
    calls = [(8, 0.8, 0.1), (8, 1.6, 0.1), (8, 80.0, 0.1), (3, 0.001, 0.1)]
    frame = pd.DataFrame([{**facts, "batch_size": b, "explain_seconds": e, "forward_seconds": f} for b, e, f in calls])
    found = summarize_timings(frame).iloc[0]
    assert found["explain_seconds_per_image"] == pytest.approx(0.2)
    assert found["forward_ratio"] == pytest.approx(16.0)
    assert (found["n_timed"], found["batch_size"]) == (3, 8)
