"""First against second: paired by image, by hand."""

from typing import Any

import pandas as pd
import pytest
from scipy.stats import wilcoxon

from xaibench.benchmark.break_even import break_even_images
from xaibench.benchmark.comparison_tables import break_even_table, lead_table
from xaibench.benchmark.paired import leads

DIRECTIONS = {"mass": True, "entropy": False}


def rows(explainer: str, scores: dict[str, list[float | None]], *, metric: str = "mass") -> pd.DataFrame:
    """Cases of images: one score per case; None becomes a degenerate one."""
    return pd.DataFrame(
        [
            {
                "explainer": explainer,
                "sample_id": sample,
                "metric": metric,
                "score": score,
                "status": "degenerate" if score is None else "ok",
            }
            for sample, values in scores.items()
            for score in values
        ]
    )


def found(*frames: pd.DataFrame, oracles: tuple[str, ...] = ("oracle",)) -> list[Any]:
    return leads(pd.concat(frames), higher_is_better=DIRECTIONS, oracles=oracles)


def test_the_best_two_are_compared_by_image_and_oracles_do_not_compete() -> None:
    best = {f"s{i}": [0.8 + 0.01 * i, 0.6] for i in range(12)}
    second = {f"s{i}": [0.5, 0.5 + 0.001 * i * i] for i in range(12)}
    (lead,) = found(
        rows("second", second),
        rows("oracle", {name: [1.0, 1.0] for name in best}),
        rows("worst", {name: [0.1, 0.1] for name in best}),
        rows("best", best),
    )
    assert (lead.first, lead.runner_up, lead.n_images) == ("best", "second", 12)
    differences = [(1.4 + 0.01 * i) / 2 - (1.0 + 0.001 * i * i) / 2 for i in range(12)]
    assert lead.difference == pytest.approx(sum(differences) / 12)
    assert lead.p_value == pytest.approx(float(wilcoxon(differences).pvalue))
    assert lead.p_value < 0.01


def test_where_lower_is_better_the_lowest_leads() -> None:
    names = [f"s{i}" for i in range(8)]
    frames = [
        rows(name, {s: [value + 0.1 * i] for i, s in enumerate(names)}, metric="entropy")
        for name, value in (("low", 1.0), ("high", 5.0), ("middle", 2.0))
    ]
    (lead,) = found(*frames)
    assert (lead.first, lead.runner_up) == ("low", "middle")
    assert lead.difference == pytest.approx(-1)


def test_the_first_is_the_first_of_the_ranks_also_where_images_have_several_cases() -> None:
    many, few = {"a": [0.9, 0.9, 0.9], "b": [0.1]}, {"a": [0.6, 0.6, 0.6], "b": [0.6]}
    (lead,) = found(rows("few", few), rows("many", many))
    # By case 0.70 against 0.60, by image 0.50 against 0.60.
    assert (lead.first, lead.runner_up, lead.n_images) == ("many", "few", 2)
    assert lead.difference == pytest.approx(0.1)


def test_who_was_not_asked_about_every_case_does_not_compete() -> None:
    (lead,) = found(
        rows("half", {"a": [0.9]}), rows("one", {"a": [0.2], "b": [0.3]}), rows("two", {"a": [0.1], "b": [0.1]})
    )
    assert (lead.first, lead.runner_up, lead.n_images) == ("one", "two", 2)


def test_who_left_a_case_out_does_not_compete() -> None:
    full, gap = {"a": [0.2], "b": [0.3]}, {"a": [0.9], "b": [None]}
    (lead,) = found(rows("gap", gap), rows("one", full), rows("two", {"a": [0.1], "b": [0.1]}))
    assert (lead.first, lead.runner_up) == ("one", "two")
    assert found(rows("gap", gap), rows("one", full)) == []


def test_equals_have_no_p_value() -> None:
    same = {"a": [0.2], "b": [0.3]}
    (lead,) = found(rows("one", same), rows("two", same))
    assert lead.p_value is None
    assert lead.difference == 0
    assert "| – |" in lead_table([lead])[-1]


def test_break_even_is_where_both_cost_the_same() -> None:
    assert break_even_images(fit_seconds=100, own_seconds=0.5, rival_seconds=2.5) == 50
    assert 100 + 50 * 0.5 == 50 * 2.5
    assert break_even_images(fit_seconds=100, own_seconds=0.5, rival_seconds=0.5) is None
    assert break_even_images(fit_seconds=100, own_seconds=0.5, rival_seconds=0.1) is None
    assert break_even_images(fit_seconds=1, own_seconds=0.0, rival_seconds=3.0) == 1


def record(
    explainer: str,
    seconds: float,
    *,
    fit_seconds: float = 0.0,
    fit_device: str | None = None,
    is_control: bool = False,
) -> dict[str, Any]:
    return {
        "explainer": explainer,
        "is_control": is_control,
        "explain_seconds_per_image": seconds,
        "fit_seconds": fit_seconds,
        "fit_device": fit_device,
    }


def test_the_table_names_rivals_without_a_fit() -> None:
    records = [
        record("nemt", 0.01, fit_seconds=90.0),
        record("slow", 0.91),
        record("quick", 0.001),
        record("random", 0.5, is_control=True),
    ]
    lines = break_even_table(records, [{"explainer": "nemt", "fit_seconds": 90.0, "fit_forward_passes": 64000}])
    assert lines[-1] == "| nemt | 64,000 | 100 | never |"
    assert lines[-3] == "| fitted | passes | slow | quick |"
    assert break_even_table(records, []) == []
    assert break_even_table(records[:1], [{"explainer": "nemt", "fit_seconds": 90.0}]) == []


def test_seconds_of_another_device_pay_nothing_off() -> None:
    records = [
        record("nemt", 0.01, fit_seconds=90.0, fit_device="cuda"),
        record("other", 0.01, fit_seconds=90.0),
        record("slow", 0.91),
    ]
    fits = [{"explainer": name, "fit_seconds": 90.0, "fit_forward_passes": 10} for name in ("nemt", "other")]
    lines = break_even_table(records, fits)
    assert lines[-2:] == ["| nemt | 10 | – |", "| other | 10 | 100 |"]
    assert "another kind of device" in lines[1]
    assert "another kind of device" not in break_even_table(records[1:], fits[1:])[1]
